"""What Alertmanager posts becomes one signal per alert, told once per state."""

from typing import Any

import pytest

from tests.watchers.posting import received, the_signal
from tests.watchers.sources import NOON
from watchers.alert_subject import subject

NOT_SET = "0001-01-01T00:00:00Z"


def an_alert(status: str = "firing", **fields: Any) -> dict[str, Any]:
    labels = {"alertname": "PodCrashLooping", "severity": "critical", "cluster": "eu",
              "namespace": "shop", "pod": "web-5f6d8b9c7d-x2xkq",
              "job": "kube-state-metrics"}  # fmt: skip
    return {
        "status": status,
        "labels": labels | fields.pop("labels", {}),
        "annotations": {"summary": "web crashes", "runbook_url": "https://example.com/r"},
        "startsAt": "2026-01-31T11:00:00.5Z",
        "endsAt": NOT_SET,
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "fbab788ec4c1018b",
        **fields,
    }


def a_post(*alerts: Any, **fields: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="PodCrashLooping"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "dogwatch",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
        **fields,
    }


async def one(alert: dict[str, Any], **options: Any) -> Any:
    return await the_signal("alertmanager", a_post(alert), **options)


async def test_an_alert_becomes_a_signal_with_all_that_it_says() -> None:
    signal = await one(an_alert())
    assert (signal.type, signal.cluster, signal.time) == ("alert", "eu", NOON)
    assert signal.source == "watchers/alertmanager/eu"
    assert signal.subject == "PodCrashLooping"
    assert signal.data == {
        "kind": "Pod",
        "name": "web-5f6d8b9c7d-x2xkq",
        "workload": "web",
        "namespace": "shop",
        "alert": "PodCrashLooping",
        "severity": "critical",
        "startsAt": "2026-01-31T11:00:00.5Z",
        "message": "web crashes",
        "url": "http://prometheus/graph",
        "receiver": "dogwatch",
        "status": "firing",
        "labels": an_alert()["labels"],
        "annotations": an_alert()["annotations"],
        "fingerprint": "fbab788ec4c1018b",
    }


async def test_a_resolved_alert_says_until_when_it_fired() -> None:
    signal = await one(an_alert("resolved", endsAt="2026-01-31T11:59:00Z"))
    assert signal.data["status"] == "resolved"
    assert signal.data["endsAt"] == "2026-01-31T11:59:00Z"


async def test_the_same_state_sent_again_has_the_same_id_whatever_else_changed() -> None:
    again = an_alert(annotations={"summary": "now 7"}, endsAt="2026-01-31T12:09:00Z")
    assert (await one(an_alert())).id == (await one(again)).id


@pytest.mark.parametrize(
    "other",
    [
        an_alert("resolved", endsAt="2026-01-31T11:59:00Z"),
        an_alert(startsAt="2026-01-31T11:30:00Z"),
        an_alert(fingerprint="0000000000000000"),
    ],
    ids=["resolved", "fired-again", "another"],
)
async def test_another_state_has_another_id(other: dict[str, Any]) -> None:
    assert (await one(an_alert())).id != (await one(other)).id


async def test_resolved_twice_with_another_end_is_two_states() -> None:
    first = await one(an_alert("resolved", endsAt="2026-01-31T11:59:00Z"))
    second = await one(an_alert("resolved", endsAt="2026-01-31T12:30:00Z"))
    assert first.id != second.id


async def test_without_a_fingerprint_the_labels_are_the_identity() -> None:
    bare, other = an_alert(fingerprint=""), an_alert(fingerprint="", labels={"pod": "web-2"})
    assert (await one(bare)).id == (await one(bare)).id != (await one(other)).id


async def test_the_cluster_is_that_of_the_label_else_of_the_configuration() -> None:
    labels = {"cluster": "", "region": "us"}
    assert (await one(an_alert(labels=labels), cluster="home")).cluster == "home"
    assert (await one(an_alert(labels=labels), cluster_label="region")).cluster == "us"
    assert (await one(an_alert(labels=labels))).cluster == ""  # the door refuses it


async def test_a_group_without_alerts_makes_nothing() -> None:
    got = await received("alertmanager", a_post())
    assert (got.signals, got.refused) == ([], [])


async def test_a_bad_alert_costs_only_itself() -> None:
    bad = [an_alert("suppressed"), {"status": "firing"}, an_alert(labels={"n": 1}), 7, None]
    got = await received("alertmanager", a_post(an_alert(), *bad))
    assert [signal.subject for signal in got.signals] == ["PodCrashLooping"]
    assert [one.reason for one in got.refused] == ["bad-form"] * 5
    assert got.refused[3].raw == b"7"


async def test_alerts_that_were_left_out_are_told_of() -> None:
    got = await received("alertmanager", a_post(an_alert(), truncatedAlerts=12))
    assert len(got.signals) == 1
    ((reason, detail, raw),) = got.refused
    assert (reason, raw) == ("left-out", b"")
    assert "12 alerts" in detail


@pytest.mark.parametrize("version", ["3", "5", ""])
async def test_another_version_is_refused_whole(version: str) -> None:
    got = await received("alertmanager", a_post(an_alert(), version=version))
    assert got.signals == []
    assert [one.reason for one in got.refused] == ["version"]


KSM = {"job": "kube-state-metrics", "namespace": "monitoring", "container": "ksm",
       "pod": "prom-kube-state-metrics-77-x", "instance": "10.0.0.7:8080"}  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "about"),
    [
        ({}, {}),
        ({"instance": "10.0.0.1:9090", "job": "api"}, {}),
        ({"namespace": "a"}, {"namespace": "a"}),
        (
            {"namespace": "a", "pod": "p-1", "node": "n1"},
            {"namespace": "a", "kind": "Pod", "name": "p-1", "workload": "p", "node": "n1"},
        ),
        (
            {"namespace": "a", "pod": "web-1-x", "deployment": "web"},
            {"namespace": "a", "kind": "Pod", "name": "web-1-x", "workload": "web"},
        ),
        (
            {**KSM, "namespace": "a", "deployment": "web"},
            {"namespace": "a", "kind": "Deployment", "name": "web", "workload": "web"},
        ),
        (
            {**KSM, "exported_namespace": "a", "exported_pod": "p-1"},
            {"namespace": "a", "kind": "Pod", "name": "p-1", "workload": "p"},
        ),
        (
            {**KSM, "node": "n1", "condition": "Ready"},
            {"kind": "Node", "name": "n1", "workload": "n1", "node": "n1"},
        ),
        (
            {**KSM, "namespace": "a", "job_name": "j-1"},
            {"namespace": "a", "kind": "Job", "name": "j-1", "workload": "j-1"},
        ),
        (
            {"namespace": "a", "persistentvolumeclaim": "data-0", "node": "n1"},
            {"namespace": "a", "kind": "PersistentVolumeClaim", "name": "data-0",
             "workload": "data-0", "node": "n1"},
        ),
        (
            {"namespace": "a", "statefulset": "db"},
            {"namespace": "a", "kind": "StatefulSet", "name": "db", "workload": "db"},
        ),
        (
            {"job": "node-exporter", "instance": "worker-1:9100", "mountpoint": "/"},
            {"kind": "Node", "name": "worker-1", "workload": "worker-1", "node": "worker-1"},
        ),
        ({"job": "node-exporter", "instance": "10.0.0.1:9100"}, {}),
        (KSM, {"namespace": "monitoring", "kind": "Pod", "name": KSM["pod"],
               "workload": KSM["pod"]}),
    ],
)  # fmt: skip
def test_an_alert_is_about_what_its_labels_name(
    labels: dict[str, str], about: dict[str, str]
) -> None:
    assert subject(labels) == about


@pytest.mark.parametrize(
    ("labels", "workload"),
    [
        ({"pod": "web-5f6d8b9c7d-x2xkq"}, "web"),
        ({"pod": "my-app-v2-5f6d8b9c7d-x2xkq"}, "my-app-v2"),
        ({"pod": "node-exporter-x2xkq"}, "node-exporter"),
        ({"pod": "db-0"}, "db"),
        ({"pod": "backup-29012345-x2xkq"}, "backup"),
        ({"pod": "sharded-29012345-3-x2xkq"}, "sharded"),
        ({"pod": "db-0", "statefulset": "db"}, "db"),
        ({"pod": "web-1-5f6d8b9c7d-x2xkq", "deployment": "web-1"}, "web-1"),
        ({"pod": "web-5f6d8b9c7d-x2xkq", "replicaset": "web-5f6d8b9c7d"}, "web"),
        ({"replicaset": "web-5f6d8b9c7d"}, "web"),
        ({"job_name": "backup-29012345"}, "backup"),
        ({"job_name": "migrate"}, "migrate"),
        ({"deployment": "web-5f6d8b9c7d"}, "web-5f6d8b9c7d"),
        ({"pod": "redis"}, "redis"),
        ({"pod": "red-panda"}, "red-panda"),
        ({"pod": "web-5f6d-x2x"}, "web-5f6d-x2x"),
        ({"pod": "-x2xkq"}, "-x2xkq"),
        ({"pod": "web-" + "7" * 100_000}, "web-" + "7" * 100_000),
    ],
)
def test_the_workload_is_the_topmost_owner_as_the_rules_about_objects_know_it(
    labels: dict[str, str], workload: str
) -> None:
    assert subject(labels)["workload"] == workload
