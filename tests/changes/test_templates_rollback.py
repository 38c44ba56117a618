"""rollback: the previous healthy pod template, exactly, and nothing else."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.changes.merge import apply_patch, same, touched
from engine.changes.templates import CHANGE, Unfit
from engine.model.change import Verb
from tests.changes.worlds import (
    BAD,
    GOOD,
    WORSE,
    a_rollout,
    a_stateful_set,
    a_view,
    checks,
    edits,
    held,
)
from tests.missions.incident.world import Raw, a_pod, a_template, an, owned_by

PREVIOUS = "a previous revision exists"


def image_after(objects: list[Raw], kind: str = "Deployment", **params: Any) -> str:
    view = a_view(*objects)
    name = "web" if kind == "Deployment" else "db"
    (edit,) = edits(view, "rollback", view.named(kind, "shop", name), **params)
    patched = apply_patch(objects[0], edit.patch)
    return str(patched["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_previous_template_comes_back_whole_and_only_what_differs_is_patched() -> None:
    objects = a_rollout(GOOD, BAD)
    objects[0]["spec"]["template"]["metadata"]["annotations"] = {"of": "the bad one"}
    view = a_view(*objects)
    (edit,) = edits(view, "rollback", view.named("Deployment", "shop", "web"))
    assert (edit.verb, edit.resource, edit.wave) == (Verb.PATCH, "deployments.apps", 0)
    assert edit.patch["metadata"] == {"annotations": {CHANGE: "c-1"}}
    assert edit.patch["spec"]["template"].keys() == {"metadata", "spec"}
    patched = apply_patch(objects[0], edit.patch)
    assert patched["spec"] == {**objects[0]["spec"], "template": a_template(image=GOOD)}


def test_the_hash_of_the_replica_set_does_not_enter_the_deployment() -> None:
    objects = a_rollout(GOOD, BAD)
    view = a_view(*objects)
    (edit,) = edits(view, "rollback", view.named("Deployment", "shop", "web"))
    assert "pod-template-hash" not in repr(edit.patch)


def test_of_two_bad_roll_outs_the_one_before_both_comes_back() -> None:
    assert image_after(a_rollout(GOOD, BAD, WORSE, ready=1)) == GOOD


def test_without_any_record_of_health_the_newest_earlier_one_comes_back() -> None:
    assert image_after(a_rollout(GOOD, BAD, WORSE)) == BAD
    view = a_view(*a_rollout(GOOD, BAD))
    found = checks(view, "rollback", view.named("Deployment", "shop", "web"))
    assert held(found)["the previous revision was healthy"] is None


def test_a_revision_that_was_named_is_the_one_or_none() -> None:
    objects = a_rollout(GOOD, BAD, WORSE, ready=1)
    assert image_after(objects, revision=2) == BAD
    with pytest.raises(Unfit, match="revision 9 is not among the earlier ones"):
        image_after(objects, revision=9)
    with pytest.raises(Unfit, match="revision 3 is not among"):
        image_after(objects, revision=3)


def test_a_stateful_set_and_a_daemon_set_go_back_by_their_controller_revision() -> None:
    assert image_after(a_stateful_set(GOOD, BAD), "StatefulSet") == GOOD
    owner = an("DaemonSet", "db", "apps/v1", spec={"template": a_template(image=WORSE)}, status={})
    kept = [
        an(
            "ControllerRevision",
            f"db-h{n}",
            "apps/v1",
            revision=n,
            data={"spec": {"template": {"$patch": "replace", **a_template(image=image)}}},
            meta={"labels": {"controller-revision-hash": f"h{n}"}, **owned_by(owner)},
        )
        for n, image in ((1, GOOD), (2, BAD), (3, WORSE))
    ]
    serving = a_pod("db-x", owner=owner, meta={"labels": {"controller-revision-hash": "h1"}})
    assert image_after([owner, *kept, serving], "DaemonSet") == GOOD


def test_what_the_controller_has_not_seen_yet_is_the_present_one() -> None:
    objects = a_rollout(GOOD, BAD)
    objects[0]["metadata"]["generation"] = 9
    objects[0]["status"]["observedGeneration"] = 8
    objects[0]["spec"]["template"] = a_template(image=WORSE)
    assert image_after(objects) == BAD


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"paused": True}, "paused"),
        ({"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
    ],
)
def test_what_does_not_roll_out_by_itself_is_refused(change: Raw, why: str) -> None:
    objects = a_rollout(GOOD, BAD)
    objects[0]["spec"] |= change
    with pytest.raises(Unfit, match=why):
        image_after(objects)


def test_without_an_earlier_revision_there_is_nothing_to_do() -> None:
    view = a_view(*a_rollout(BAD))
    ref = view.named("Deployment", "shop", "web")
    with pytest.raises(Unfit, match="no earlier revision"):
        edits(view, "rollback", ref)
    assert held(checks(view, "rollback", ref))[PREVIOUS] is False
    unread = a_view(*a_rollout(BAD), read=frozenset({"deployments.apps"}))
    assert held(checks(unread, "rollback", ref))[PREVIOUS] is None


def test_what_was_made_anew_or_is_gone_is_not_patched() -> None:
    view = a_view(*a_rollout(GOOD, BAD))
    ref = view.named("Deployment", "shop", "web")
    with pytest.raises(Unfit, match="made anew"):
        edits(view, "rollback", ref.model_copy(update={"uid": "another"}))
    with pytest.raises(Unfit, match="does not exist"):
        edits(view, "rollback", ref.model_copy(update={"name": "gone"}))
    with pytest.raises(Unfit, match="only Deployment, StatefulSet, DaemonSet"):
        edits(view, "rollback", view.named("Pod", "shop", "web-new"))


def test_a_missing_reference_or_a_migration_holds_it_back() -> None:
    objects = a_rollout(GOOD, BAD, ready=1)
    volume = {"name": "v", "configMap": {"name": "old-settings"}}
    objects[1]["spec"]["template"]["spec"] = {**a_template()["spec"], "volumes": [volume]}
    migration = an("Job", "migrate-2", "batch/v1", meta={"creationTimestamp": None})
    view = a_view(*objects, migration)
    found = held(checks(view, "rollback", view.named("Deployment", "shop", "web")))
    assert found == {
        PREVIOUS: True,
        "the previous revision was healthy": True,
        "what the previous revision refers to exists": False,
        "no migration job ran since the previous revision": False,
        "no other tool owns the object": True,
    }


PARTS = st.dictionaries(
    st.sampled_from(["nodeSelector", "hostNetwork", "containers", "volumes", "priority"]),
    st.one_of(
        st.booleans(),
        st.integers(0, 3),
        st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
        st.lists(st.fixed_dictionaries({"name": st.sampled_from("ab")}), max_size=2),
    ),
    max_size=4,
)


@given(PARTS, PARTS)
def test_whatever_the_two_templates_are_the_patch_leads_there_and_back(old: Raw, new: Raw) -> None:
    objects = a_rollout(GOOD, BAD)
    objects[1]["spec"]["template"]["spec"] |= old
    objects[0]["spec"]["template"]["spec"] |= new
    assume(not same(objects[0]["spec"]["template"]["spec"], objects[1]["spec"]["template"]["spec"]))
    view = a_view(*objects)
    (edit,) = edits(view, "rollback", view.named("Deployment", "shop", "web"))
    then = apply_patch(objects[0], edit.patch)
    wanted = {**objects[1]["spec"]["template"], "metadata": {"labels": {"app": "web"}}}
    assert same(then["spec"]["template"], wanted)
    back = apply_patch(then, touched(objects[0], then)[0])
    back["metadata"].pop("annotations")
    assert same(back, objects[0])
