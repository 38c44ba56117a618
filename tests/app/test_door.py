"""The door: nobody outside speaks for dogwatch, or for its watchers."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.app.door import ANYBODY, Sender, admitted
from engine.bus.codec import encode
from engine.model.signal import Signal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEAT = "watcher.heartbeat"
HERE = Sender(watched={"west"})


def a_signal(type_: str = "alert", *, source: str = "ci", cluster: str = "west") -> Signal:
    return Signal(id="1", source=source, type=type_, time=NOON, cluster=cluster)


def reasons(signal: Signal, sender: Sender = HERE) -> list[str]:
    good, bad = admitted(encode([signal]), NOON, sender)
    assert len(good) + len(bad) == 1
    return [one.reason for one in bad]


@pytest.mark.parametrize("source", ["watchers/objects/west", "watchers/", "dogwatch/p1"])
@pytest.mark.parametrize("type_", ["k8s.object", "hardware", "metric", BEAT])
def test_a_sender_speaks_under_a_source_of_its_own(source: str, type_: str) -> None:
    signal = a_signal(type_, source=source, cluster="posted")
    assert reasons(signal) == reasons(signal, ANYBODY) == ["source"]


def test_nobody_outside_sends_what_dogwatch_measures_of_itself() -> None:
    assert reasons(a_signal("metric", cluster="_dogwatch")) == ["cluster"]
    assert reasons(a_signal("metric", cluster="_dogwatch"), Sender(fixed=True)) == ["cluster"]


def test_only_watchers_pace_the_time_of_a_cluster_that_is_watched() -> None:
    assert reasons(a_signal(BEAT)) == ["heartbeat"]
    assert reasons(a_signal(BEAT, cluster="posted")) == []
    assert reasons(a_signal("metric")) == []


def test_what_a_receiver_made_may_have_a_source_of_dogwatch() -> None:
    made = a_signal("hardware", source="watchers/node-report/west")
    assert reasons(made, Sender(fixed=True)) == []


def test_what_was_on_the_bus_comes_back_under_the_source_that_it_had() -> None:
    known = Sender(watched={"west"}, known=True)
    assert reasons(a_signal(BEAT, source="watchers/objects/west"), known) == []
    assert reasons(a_signal("metric", source="dogwatch/p1", cluster="_dogwatch"), known) == []


def test_that_it_comes_too_early_is_told_only_of_what_is_good_otherwise() -> None:
    early = Signal(
        id="1", source="watchers/objects/west", type="alert", time=NOON + timedelta(hours=1)
    )
    assert reasons(early) == ["source"]
