"""Each cluster is read, in part, or not at all; the rights that lack are named with their rule."""

import pytest

from engine.missions.reach import lacking, reached
from engine.model.snapshot import ClusterSnapshot, Snapshot

NO = "forbidden: no"
LATE = "timeout: not read within 60 s"


def a_snapshot(unread: dict[str, str], *read: str) -> Snapshot:
    one = ClusterSnapshot("prod", unread=unread, read=frozenset(read))
    return Snapshot({"prod": one})


@pytest.mark.parametrize(
    ("unread", "read", "word"),
    [
        ({}, ("pods",), "ok"),
        ({"nodes": NO}, ("pods",), "partial"),
        ({"nodes": LATE}, ("pods",), "partial"),
        ({"cluster": "unreachable: no route"}, (), "unreachable"),
        ({"cluster": "not configured: no cluster of this name"}, (), "unreachable"),
        ({"cluster": NO}, (), "forbidden"),
        ({"pods": NO, "nodes": NO}, (), "forbidden"),
        ({"pods": NO, "nodes": LATE}, (), "unreachable"),
    ],
)
def test_one_word_says_how_far_a_cluster_was_read(
    unread: dict[str, str], read: tuple[str, ...], word: str
) -> None:
    assert reached(a_snapshot(unread, *read)) == {"prod": word}


def test_the_rights_that_lack_are_named_with_the_rule_that_grants_just_them() -> None:
    unread = {
        "pods": NO,
        "nodes": NO,
        "deployments.apps": NO,
        "services": LATE,
        "log of shop/web-1/app": NO,
        "previous log of shop/web-1/app": NO,
    }
    (one,) = lacking(a_snapshot(unread, "events"))
    assert (one.what, one.cluster) == ("rights of the reader", "prod")
    assert one.reason == (
        "missing: list pods; list nodes; list deployments.apps; get pods/log. "
        "A ClusterRole grants it with rules: ["
        '{apiGroups: [""], resources: [pods, nodes], verbs: [list]}, '
        '{apiGroups: ["apps"], resources: [deployments], verbs: [list]}, '
        '{apiGroups: [""], resources: [pods/log], verbs: [get]}]'
    )


def test_what_is_merely_out_of_reach_lacks_no_right() -> None:
    assert lacking(a_snapshot({"nodes": LATE}, "pods")) == []
