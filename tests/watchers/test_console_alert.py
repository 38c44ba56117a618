"""What KubeStellar Console posts becomes an alert; its test of a connection becomes nothing."""

from typing import Any

import pytest

from tests.watchers.posting import received, the_signal

POST: dict[str, Any] = {
    "alert": "GPU Usage Critical",
    "severity": "critical",
    "status": "firing",
    "cluster": "prod",
    "namespace": "ml",
    "resource": "trainer-0",
    "message": "GPU usage is 95 %",
    "timestamp": "2026-01-31T11:59:58.123456789Z",
    "ruleId": "gpu-usage",
    "id": "a-17",
}


async def test_an_alert_becomes_a_signal() -> None:
    signal = await the_signal("console-alert", POST)
    assert (signal.type, signal.cluster) == ("alert", "prod")
    assert signal.source == "watchers/console-alert/prod"
    assert signal.data == {
        "alert": "GPU Usage Critical",
        "severity": "critical",
        "namespace": "ml",
        "name": "trainer-0",
        "workload": "trainer-0",
        "message": "GPU usage is 95 %",
        "startsAt": "2026-01-31T11:59:58.123456789Z",
        "status": "firing",
        "labels": {"ruleId": "gpu-usage"},
        "fingerprint": "a-17",
    }


async def test_what_is_not_told_is_left_out() -> None:
    bare = {"alert": "x", "status": "resolved", "timestamp": "2026-01-31T12:00:00Z"}
    signal = await the_signal("console-alert", bare, cluster="home")
    assert signal.cluster == "home"
    assert signal.data.keys() == {"alert", "status", "startsAt", "labels", "fingerprint"}


async def test_sent_again_it_has_the_same_id_and_resolved_another() -> None:
    first, again = [await the_signal("console-alert", POST) for _ in range(2)]
    resolved = await the_signal("console-alert", POST | {"status": "resolved"})
    assert first.id == again.id != resolved.id


async def test_a_test_of_the_connection_makes_no_signal_and_is_no_fault() -> None:
    got = await received("console-alert", {"alert": "Test Alert", "status": "test"})
    assert (got.signals, got.refused) == ([], [])


@pytest.mark.parametrize("status", ["", "Firing", "gone"])
async def test_an_unknown_status_is_refused(status: str) -> None:
    got = await received("console-alert", POST | {"status": status})
    assert got.signals == []
    assert [one.reason for one in got.refused] == ["bad-form"]
