"""A heartbeat says: up to here everything was seen. Nothing less may make one."""

from datetime import UTC, datetime, timedelta

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Observation
from watchers.heartbeat import Pulse

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(seconds: float, fault: str = "", *, partial: bool = False) -> Observation:
    return Observation(at(seconds), fault=fault, partial=partial)


def beats(signals: list[Signal]) -> list[datetime]:
    return [s.time for s in signals if s.type == HEARTBEAT]


def test_a_heartbeat_waits_for_the_resource_that_lags_most() -> None:
    pulse = Pulse("objects", "west", ["pods", "nodes"])
    assert beats(pulse.saw("pods", seen(9))) == []
    (beat,) = pulse.saw("nodes", seen(10))
    assert (beat.time, beat.source, beat.cluster) == (at(9), "watchers/objects/west", "west")


def test_heartbeats_come_every_five_seconds() -> None:
    pulse = Pulse("events", "west", ["events"])
    times = [t for n in range(21) for t in beats(pulse.saw("events", seen(n)))]
    assert times == [at(0), at(5), at(10), at(15), at(20)]


def test_a_list_under_way_and_a_lost_stream_stop_them() -> None:
    pulse = Pulse("events", "west", ["events"])
    assert pulse.saw("events", seen(0, partial=True)) == []
    assert beats(pulse.saw("events", seen(1))) == [at(1)]
    assert beats(pulse.saw("events", seen(60, "unreachable: gone"))) == []
    assert beats(pulse.saw("events", seen(70, partial=True))) == []
    assert beats(pulse.saw("events", seen(71))) == [at(71)]


def test_what_is_forbidden_is_told_once_and_the_others_go_on() -> None:
    pulse = Pulse("objects", "west", ["pods", "nodes"])
    (told,) = pulse.saw("nodes", seen(0, "forbidden: nodes is forbidden"))
    assert told.type == "watcher"
    assert told.data == {
        "watcher": "objects",
        "resource": "nodes",
        "state": "unread",
        "reason": "forbidden",
        "message": "forbidden: nodes is forbidden",
    }
    assert pulse.saw("nodes", seen(1, "forbidden: in other words")) == []
    assert beats(pulse.saw("pods", seen(2))) == [at(2)]
    again = pulse.saw("nodes", seen(9))
    assert [s.data["state"] for s in again if s.type == "watcher"] == ["ok"]
    assert pulse.settled(["nodes", "pods"])


def test_where_all_is_forbidden_or_missing_heartbeats_go_on_as_there_is_nothing_to_see() -> None:
    pulse = Pulse("objects", "west", ["pods", "nodes"])
    assert not pulse.settled(["pods"])
    assert beats(pulse.saw("pods", seen(0, "forbidden: no"))) == []
    assert pulse.settled(["pods"])
    assert beats(pulse.saw("nodes", seen(1, "not-found: none"))) == [at(1)]
    assert beats(pulse.saw("nodes", seen(6, "not-found: none"))) == [at(6)]
    assert beats(pulse.saw("nodes", seen(12, "timeout: no answer"))) == []


def test_a_watcher_whose_last_resource_is_taken_away_beats_on() -> None:
    pulse = Pulse("events", "west", ["events"])
    assert beats(pulse.saw("events", seen(0))) == [at(0)]
    assert beats(pulse.saw("events", seen(7, "forbidden: no"))) == [at(7)]
    assert beats(pulse.saw("events", seen(12, "forbidden: no"))) == [at(12)]


def test_a_clock_that_goes_back_does_not_turn_time_back() -> None:
    pulse = Pulse("events", "west", ["events"])
    pulse.saw("events", seen(3600))
    assert pulse.time(at(0)) == at(3600)
    assert beats(pulse.saw("events", seen(10))) == []
    assert beats(pulse.saw("events", seen(3606))) == [at(3606)]
