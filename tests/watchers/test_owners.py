"""From a Pod to its workload, with all owners seen, or only guessed by their names."""

from typing import Any

import pytest

from watchers.owners import Owner, Owners, controller


def an_object(kind: str, name: str, owner: str = "", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "labels": labels}
    if owner:
        above, _, called = owner.partition("/")
        metadata["ownerReferences"] = [
            {"kind": "Other", "name": "not-the-controller", "uid": "u"},
            {"kind": above, "name": called, "uid": f"uid-{called}", "controller": True},
        ]
    return {"kind": kind, "metadata": metadata, "spec": {"nodeName": "n1"}}


POD = an_object("Pod", "web-5d4-x", "ReplicaSet/web-5d4", **{"pod-template-hash": "5d4"})


@pytest.mark.parametrize(
    ("seen", "pod", "expected"),
    [
        ([an_object("ReplicaSet", "web-5d4", "Deployment/web")], POD, ("Deployment", "web")),
        ([an_object("ReplicaSet", "web-5d4", "Rollout/web")], POD, ("Rollout", "web")),
        ([an_object("ReplicaSet", "web-5d4")], POD, ("ReplicaSet", "web-5d4")),
        ([], POD, ("Deployment", "web")),
        ([], an_object("Pod", "p", "ReplicaSet/bare"), ("ReplicaSet", "bare")),
        (
            [an_object("Job", "backup-29400000", "CronJob/backup")],
            an_object("Pod", "p", "Job/backup-29400000"),
            ("CronJob", "backup"),
        ),
        ([], an_object("Pod", "p", "Job/backup-29400000"), ("CronJob", "backup")),
        ([], an_object("Pod", "p", "Job/report-20261124"), ("Job", "report-20261124")),
        ([], an_object("Pod", "alone"), ("Pod", "alone")),
        ([], an_object("Pod", "etcd-n1", "Node/n1"), ("Pod", "etcd-n1")),
        (
            [an_object("A", "a", "B/b"), an_object("B", "b", "A/a")],
            an_object("Pod", "p", "A/a"),
            None,
        ),
    ],
)
def test_the_workload_is_the_top_controller(
    seen: list[dict[str, Any]], pod: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    owners = Owners()
    for obj in seen:
        owners.learn(obj)
    found = owners.workload(pod)
    if expected:
        assert (found.kind, found.name) == expected
    else:
        assert found.kind in {"A", "B"}


def test_a_known_object_is_found_by_uid_until_it_is_deleted() -> None:
    owners = Owners()
    owners.learn(POD)
    assert owners.of("uid-web-5d4-x") == Owner("Deployment", "web")
    assert owners.node("uid-web-5d4-x") == "n1"
    owners.forget(POD)
    assert owners.of("uid-web-5d4-x") is None
    assert owners.node("uid-web-5d4-x") == ""


def test_the_direct_controller_is_the_reference_that_says_so() -> None:
    assert controller(POD) == Owner("ReplicaSet", "web-5d4", "uid-web-5d4")
    assert controller(an_object("Pod", "alone")) is None
