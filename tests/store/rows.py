"""Builders of what the store takes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.model.delivery import Delivery, Occasion
from engine.model.firing import Launch, State, Transition
from engine.model.mission import MissionRow
from engine.model.report import Coverage, Outcome, Report
from engine.store.checkpoint import Commit
from engine.store.store import Store

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


def a_transition(firing: str = "f-1", **fields: Any) -> Transition:
    given = {"at": 1_000, "rule": "crash-loop", "key": {"workload": "web"}, "state": State.FIRING}
    return Transition(**{**given, "firing": firing, **fields})


def a_launch(mission: str = "m-1", firing: str = "f-1") -> Launch:
    return Launch(
        at=1_000,
        rule="crash-loop",
        key={"workload": "web"},
        firing=firing,
        mission=mission,
        kind="incident-response",
        params={"namespace": "shop"},
        clusters=("east",),
        depth=1,
    )


def a_delivery(key: str = "d-1", **fields: Any) -> Delivery:
    given = {
        "key": key,
        "sink": "web",
        "change": Occasion.FIRE,
        "incident": "f-1",
        "rule": "crash-loop",
        "group": {"workload": "web"},
        "at": NOON,
        "title": "crash-loop: web",
    }
    return Delivery(**{**given, **fields})


def a_dead_letter(store: Store, key: str, at: datetime) -> None:
    """Let a delivery to `hook` be given up at `at`."""
    told = Delivery(
        key=key,
        sink="hook",
        change=Occasion.FIRE,
        incident="f-1",
        rule="storm",
        group={},
        at=at,
        title="storm",
    )
    store.enqueue([told])
    store.give_up(key, "answered 400", at)


def a_commit(number: int = 1, **fields: Any) -> Commit:
    """A firing with its cause, mission and delivery, all named by `number`."""
    firing, cause = f"f-{number}", f"s-{number}"
    given = {
        "next_offset": number + 1,
        "state": {"counter": str(number).encode(), f"key-{number}": b"\x00\xff"},
        "rules": "digest",
        "transitions": [a_transition(firing, cause=cause, at=number)],
        "launches": [a_launch(f"m-{number}", firing)],
        "deliveries": [a_delivery(f"d-{number}", incident=firing)],
        "signals": {cause: f'[{{"id":"{cause}","time":"2026-01-31T12:00:00Z"}}]'.encode()},
    }
    return Commit(**{**given, **fields})


def a_report(run_id: str = "m-1", outcome: Outcome = Outcome.OK) -> Report:
    return Report(
        kind="incident-response",
        run_id=run_id,
        started=NOON,
        finished=NOON + SECOND,
        outcome=outcome,
        summary="One pod crashes.",
        coverage=Coverage(answered=1, possible=1),
    )


def a_run(mission: str = "m-1", **fields: Any) -> MissionRow:
    return MissionRow(id=mission, kind="incident-response", params={}, created=NOON, **fields)
