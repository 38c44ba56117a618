"""Faults of sources reach the people who run dogwatch: once a change, without secrets."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from engine.app.config import ClusterConfig
from engine.app.ingesting import Watching
from engine.app.intake.intake import Intake, Limits
from engine.app.probes import of_cluster
from engine.app.unread import Faults, told
from engine.bus.embedded import EmbeddedBus
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from tests.app.test_ingesting import Relists, Steady
from watchers.registry import NAMES


def a_state(source: str, fault: str, watcher: str = "metrics") -> Signal:
    data = {
        "watcher": watcher,
        "resource": source,
        "state": "unread" if fault else "ok",
        "reason": fault.partition(":")[0],
        "message": fault,
    }
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Signal(id="1", source="x", type="watcher", time=at, cluster="west", data=data)


def logged(*told: Signal) -> list[tuple[str, str, str]]:
    faults = Faults("west")
    with capture_logs() as logs:
        for one in told:
            faults.note([one])
    assert {one["cluster"] for one in logs} <= {"west"}
    return [(one["log_level"], one["source"], one.get("reason", "")) for one in logs]


def test_a_fault_is_logged_once_at_each_change_and_again_when_it_is_over() -> None:
    down = a_state("prometheus", "unreachable: 127.0.0.1:1 refused")
    slow = a_state("prometheus", "timeout: not within 10 s")
    assert logged(down, down, slow, a_state("prometheus", ""), down) == [
        ("warning", "prometheus", "unreachable"),
        ("warning", "prometheus", "timeout"),
        ("info", "prometheus", ""),
        ("warning", "prometheus", "unreachable"),
    ]


def test_a_quiet_start_logs_nothing_and_what_a_cluster_lacks_is_no_warning() -> None:
    lacks = a_state("certificates.cert-manager.io", "not-found: no such resource", "certificates")
    assert logged(a_state("prometheus", ""), lacks) == [
        ("info", "certificates.cert-manager.io", "not-found")
    ]


def test_a_file_that_was_configured_and_is_not_there_is_a_warning() -> None:
    gone = a_state("audit-log", "not-found: there is no file /var/log/audit.log", "audit")
    assert logged(gone) == [("warning", "audit-log", "not-found")]


def test_what_is_logged_holds_no_password_and_nothing_that_steers_a_terminal() -> None:
    with capture_logs() as logs:
        Faults("west").note([a_state("git/shop", "refused: https://bot:hunter22@git\x1b[2J\nx")])
    assert "hunter22" not in logs[0]["message"]
    assert logs[0]["message"].isprintable()


def test_the_page_of_readiness_names_what_cannot_be_read() -> None:
    assert told([]) == ""
    assert told(["prometheus of metrics"]) == "1 source cannot be read: prometheus of metrics"
    many = told([f"s{number}" for number in range(7)])
    assert many == "7 sources cannot be read: s0, s1, s2, s3, s4 and 2 more"


async def test_a_configured_file_that_is_not_there_is_logged_and_shown_where_it_is_watched(
    tmp_path: Path,
) -> None:
    bus = EmbeddedBus(tmp_path / "signals.db", clock=SystemClock())
    intake = Intake(bus, Relists(), Limits(1 << 20, 5, 1000), SystemClock())
    off: dict[str, Any] = dict.fromkeys(NAMES, False)
    watchers = off | {"audit": {"file_path": str(tmp_path / "gone.log")}, "events": True}
    config = ClusterConfig(name="west", watchers=watchers)
    watching = Watching(config, Steady(), intake, SystemClock())
    with capture_logs() as logs:
        running = [asyncio.create_task(one) for one in (intake.run(), watching.run())]
        async with asyncio.timeout(20):
            while not logs:  # noqa: ASYNC110 - nothing else tells that a log was written
                await asyncio.sleep(0.01)
        shown = of_cluster(watching)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await bus.aclose()
    (log,) = logs
    assert (log["event"], log["source"]) == ("a source cannot be read", "audit-log")
    assert shown == "1 source cannot be read: audit-log of audit"
