"""Watching a real cluster through everything that happens to streams."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from engine.model.watch import ChangeType
from tests.cluster.proxy import a_proxy
from tests.cluster.readers import QUICK, a_reader, as_persona, following, through
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import an_object

pytestmark = pytest.mark.real

ADDED, MODIFIED = ChangeType.ADDED, ChangeType.MODIFIED
DELETED, SYNCED = ChangeType.DELETED, ChangeType.SYNCED
Clusters = Callable[[str], Kube]


@pytest.fixture
def spare(kube_factory: Clusters) -> Kube:
    """A cluster whose API server may be stopped."""
    return kube_factory("beta")


async def in_thread(work: Callable[[], object]) -> None:
    await asyncio.to_thread(work)


async def test_what_happens_is_told_in_order_with_what_was_before(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(an_object("ConfigMap", "there", namespace))
    async with (
        a_reader(as_persona(kube, "reader")) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        kube.create(an_object("ConfigMap", "new", namespace, data={"n": "1"}))
        kube.patch("ConfigMap", "new", namespace, data={"n": "2"})
        kube.delete("ConfigMap", "new", namespace)
        await seen.until(lambda: (DELETED, "new") in seen.told(), "deletion")
    assert seen.told("there") == [(SYNCED, "there")]
    added, modified, deleted = [c for c in seen.changes if c.object["metadata"]["name"] == "new"]
    assert [added.type, modified.type, deleted.type] == [ADDED, MODIFIED, DELETED]
    assert modified.old == added.object
    assert modified.object["data"] == {"n": "2"}
    assert (added.object["apiVersion"], added.object["kind"]) == ("v1", "ConfigMap")
    assert "managedFields" not in modified.object["metadata"]
    assert dict(seen.status.relists) == {"start": 1}


async def test_more_than_a_page_is_synced(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(*(an_object("ConfigMap", f"c{n}", namespace) for n in range(600)))
    async with (
        a_reader(as_persona(kube)) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        assert sum(name.startswith("c") for _, name in seen.told()) == 600
        assert seen.status.objects >= 600
        assert [o.partial for o in seen.observations[:2]] == [True, True]


async def test_a_stream_that_was_cut_goes_on_without_a_list_and_loses_nothing(
    kube: Kube, tmp_path: Path
) -> None:
    namespace = kube.namespace()
    async with (
        a_proxy(kube.site.api_port) as proxy,
        a_reader(through(proxy.port, kube, tmp_path)) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        for number in range(3):
            proxy.cut()
            await seen.until(lambda n=number: len(seen.faults) > n, "fault")  # type: ignore[misc]
            kube.create(an_object("ConfigMap", f"c{number}", namespace))
            proxy.mend()
            await seen.until(lambda n=number: (ADDED, f"c{n}") in seen.told(), "addition")  # type: ignore[misc]
        assert set(seen.faults) == {"unreachable"}
        assert dict(seen.status.relists) == {"start": 1}
        assert seen.status.fault == ""
        assert [name for _, name in seen.told() if name.startswith("c")] == ["c0", "c1", "c2"]


async def test_deletions_in_a_gap_that_the_server_forgot_are_told_exactly_once(
    spare: Kube, tmp_path: Path
) -> None:
    namespace = spare.namespace()
    spare.create(*(an_object("ConfigMap", f"c{n}", namespace) for n in range(20)))
    async with (
        a_proxy(spare.site.api_port) as proxy,
        a_reader(through(proxy.port, spare, tmp_path)) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        proxy.cut()
        await seen.until(lambda: seen.faults, "fault")
        for number in range(10):
            spare.delete("ConfigMap", f"c{number}", namespace)
        spare.create(an_object("ConfigMap", "c0", namespace, data={"again": "yes"}))
        spare.patch("ConfigMap", "c19", namespace, data={"changed": "yes"})
        forget_history(spare)
        with spare.without("kube-apiserver"):
            pass
        proxy.mend()
        await seen.until(lambda: seen.status.relists["expired"], "relist")
        await seen.live()
        gone = [name for kind, name in seen.told() if kind is DELETED]
        assert sorted(gone) == [f"c{n}" for n in range(10)]
        assert all(c.unseen for c in seen.changes if c.type is DELETED)
        assert (ADDED, "c0") in seen.told()
        (changed,) = [c for c in seen.changes if c.type is MODIFIED]
        assert changed.old is not None
        assert "data" not in changed.old
        assert seen.status.relists["expired"] == 1


def forget_history(kube: Kube) -> None:
    """Compact etcd up to now: no watch can begin before that any more."""
    put = {"key": "ZG9n", "value": "d29vZg=="}
    answer = httpx.post(f"{kube.site.etcd_url}/v3/kv/put", json=put, trust_env=False)
    revision = answer.json()["header"]["revision"]
    compaction = {"revision": revision, "physical": True}
    done = httpx.post(f"{kube.site.etcd_url}/v3/kv/compaction", json=compaction, trust_env=False)
    assert done.is_success, done.text


async def test_a_restart_of_the_server_loses_nothing(spare: Kube) -> None:
    namespace = spare.namespace()
    async with (
        a_reader(as_persona(spare)) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        await in_thread(lambda: spare.plane.server("kube-apiserver").kill())
        await seen.until(lambda: "unreachable" in seen.faults, "fault")
        await in_thread(lambda: spare.plane.start(["kube-apiserver"]))
        spare.create(an_object("ConfigMap", "new", namespace))
        await seen.until(lambda: (ADDED, "new") in seen.told(), "addition", 60)
        assert [kind for kind, _ in seen.told() if kind is DELETED] == []


async def test_a_frozen_stream_promises_nothing_and_is_noticed(kube: Kube, tmp_path: Path) -> None:
    namespace = kube.namespace()
    timing = replace(QUICK, watch_s=(4, 4), silence_s=1.5, beyond_s=1.0)
    async with (
        a_proxy(kube.site.api_port) as proxy,
        a_reader(through(proxy.port, kube, tmp_path), timing) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        proxy.freeze()
        kube.create(an_object("ConfigMap", "hidden", namespace))
        frozen = len(seen.observations)
        await seen.until(lambda: "timeout" in seen.faults, "notice", 15)
        promised = [o for o in seen.observations[frozen:] if not o.fault]
        span = (promised[-1].at - promised[0].at).total_seconds() if promised else 0.0
        assert span <= 1.6
        proxy.mend()
        await seen.until(lambda: (ADDED, "hidden") in seen.told(), "addition", 60)
        assert dict(seen.status.relists) == {"start": 1}


async def test_watches_end_and_begin_again_without_a_list_or_a_fault(kube: Kube) -> None:
    namespace = kube.namespace()
    timing = replace(QUICK, watch_s=(1, 2))
    async with (
        a_reader(as_persona(kube, "reader"), timing) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.until(lambda: seen.status.restarts >= 3, "restarts")
        kube.create(an_object("ConfigMap", "new", namespace))
        await seen.until(lambda: (ADDED, "new") in seen.told(), "addition")
        assert seen.faults == []
        assert dict(seen.status.relists) == {"start": 1}


async def test_of_events_which_have_no_bookmarks_streams_begin_anew_before_they_seem_silent(
    kube: Kube,
) -> None:
    timing = replace(QUICK, watch_s=(60, 60), unmarked_s=(2, 2), silence_s=3)
    async with (
        a_reader(as_persona(kube, "reader"), timing) as reader,
        following(reader, "events", "nowhere") as seen,
    ):
        await seen.until(lambda: seen.status.restarts >= 4, "restarts")
        times = [o.at for o in seen.observations]
        assert max((b - a).total_seconds() for a, b in pairwise(times)) < 2
        assert seen.faults == []
        assert dict(seen.status.relists) == {"start": 1}


async def test_what_is_forbidden_is_told_and_followed_once_it_is_granted(kube: Kube) -> None:
    namespace = kube.namespace()
    role, user = f"late-{namespace}", {"kind": "User", "name": "nobody"}
    group = "rbac.authorization.k8s.io"
    async with (
        a_reader(as_persona(kube, "nobody")) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.until(lambda: seen.faults.count("forbidden") == 2, "second refusal")
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
        kube.create(
            an_object("ClusterRole", role, rules=[rule]),
            an_object(
                "ClusterRoleBinding",
                role,
                subjects=[{**user, "apiGroup": group}],
                roleRef={"apiGroup": group, "kind": "ClusterRole", "name": role},
            ),
        )
        await seen.live()
        assert seen.status.fault == ""
    kube.delete("ClusterRoleBinding", role)


async def test_an_unknown_resource_is_told_of(kube: Kube) -> None:
    async with (
        a_reader(as_persona(kube)) as reader,
        following(reader, "gadgets.example.com") as seen,
    ):
        await seen.until(lambda: seen.faults, "fault")
    assert seen.faults == ["not-found"]
    assert seen.status.seen is None
