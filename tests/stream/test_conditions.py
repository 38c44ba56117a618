"""Whatever the order of arrival and wherever it was restarted, a condition knows the same.

A condition is driven here as a cell drives it, with a key that "fires" by the clock. What it has
stored at last must be that of one that saw everything in order and was never restarted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.rule import Measure, Rule
from engine.stream.aggregates import AGGREGATES
from engine.stream.reader import Reader
from engine.stream.sample import Sample
from engine.stream.sight import Sight
from tests.stream.building import a_pod, a_rule, an_event
from tests.stream.strategies import program

SECOND = 1_000_000
LATENESS = 2 * SECOND
DELAYS = (0, 600_000, 1_100_000, 1_600_000, LATENESS - 1)
STEPS = (1, 1, 1, 2, 3, 8)
MEASURES = tuple(
    Measure(fn, fn, None if fn == "count" else program("signal.data.n"), None, fn == "rate")
    for fn in AGGREGATES
) + tuple(
    Measure(f"latest_{fn}", fn, None if fn == "count" else program("signal.data.n"), latest=True)
    for fn in ("count", "sum", "max", "distinct")
)
BY_TIME = program("now > signal.time + duration('4s') || signal.data.bad")
HAVING = (program("m.count > 1"), program("m.count > 1 && now.getSeconds() % 2 == 0"))


@st.composite
def conditions(draw: st.DrawFn, *, windowed: bool) -> Rule:
    """Return a rule over objects or Events, with any window or none and any layers round it."""
    kind = draw(st.sampled_from(["k8s.object", "k8s.event"])) if windowed else "k8s.object"
    made = replace(
        a_rule(on=kind, by=("cluster",)),
        when=draw(st.sampled_from([None if windowed else BY_TIME, program("signal.data.bad")])),
        on_nodata=draw(st.sampled_from(["keep", "resolve", "fire"])),
        stale_after_us=draw(st.sampled_from([3, 5])) * SECOND,
        reevaluate_us=draw(st.sampled_from([0, 2, 3])) * SECOND,
        clear=draw(st.sampled_from([None, program("signal.data.n == 0")])),
    )
    if not windowed:
        return made
    return replace(
        made,
        window=draw(st.sampled_from(["sliding", "tumbling", "session"])),
        over_us=draw(st.sampled_from([2, 5, 10])) * SECOND,
        gap_us=draw(st.sampled_from([1, 3])) * SECOND,
        measures=draw(st.sampled_from([MEASURES, MEASURES[:-4]])),
        having=draw(st.sampled_from(HAVING)),
        clear=None,
    )


@st.composite
def arrivals(draw: st.DrawFn, rule: Rule) -> list[Sample]:
    """Return samples of one key at distinct instants of half seconds, late by less than 2 s."""
    reader, at = Reader(rule, Counter()), 0
    log: list[tuple[int, int, Sample]] = []
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=6, max_size=20)):
        at += step
        sample = draw(_samples(reader, at / 2))
        if sample is not None:
            log.append((sample.at + draw(st.sampled_from(DELAYS)), len(log), sample))
    return [sample for _, _, sample in sorted(log, key=lambda item: item[:2])]


@st.composite
def _samples(draw: st.DrawFn, reader: Reader, at: float) -> Sample | None:
    signal = draw(_signals(reader.rule.on[0].type, at))
    sight = Sight(signal, to_us(signal.time))
    if draw(st.integers(0, 5)) == 0:
        return Sample(sight.at, sight.series, met=False, counted=False, heard=False)
    return reader.window(sight) if reader.windowed else reader.level(sight)


@st.composite
def _signals(draw: st.DrawFn, kind: str, at: float) -> Signal:
    name = draw(st.sampled_from(["a", "b", "c"]))
    data: dict[str, Any] = {
        "n": draw(st.sampled_from([0, 1, 2, 3, 0.5, 2.0])),
        "bad": draw(st.booleans()),
    }
    if kind == "k8s.event":
        return an_event(at, name, draw(st.integers(1, 5)), **data)
    change = draw(st.sampled_from(["modified", "modified", "modified", "synced", "deleted"]))
    return a_pod(at, name, change=change, **data)


class Drive:
    """Folds samples into a condition as a cell does."""

    def __init__(self, rule: Rule) -> None:
        self.reader = Reader(rule, Counter())
        self.condition = self.reader.condition()
        self.head, self.mark = -1, 0

    def fold(self, sample: Sample) -> None:
        later = [] if sample.at > self.head else self.condition.rewind(sample.at)
        for one in sorted([sample, *later], key=lambda one: one.at):
            self.run(one.at)
            self.condition.add(one, firing=fires(one.at))
            self.condition.expire(one.at, firing=fires(one.at))
        self.head = max(self.head, sample.at)
        self.mark = max(self.mark, self.head - LATENESS)
        self.condition.trim(self.mark)

    def run(self, limit: int) -> None:
        while (at := self.condition.next_change()) is not None and at < limit:
            self.condition.expire(at, firing=fires(at))

    def restart(self) -> None:
        raw = msgspec.msgpack.encode(self.condition.dump())
        self.condition = self.reader.condition()
        state = msgspec.convert(msgspec.msgpack.decode(raw), self.condition.form)
        self.condition.load(state)

    def end(self, at: int) -> dict[str, Any]:
        """Return what matters once time is `at`: not how many samples wait to be swept out."""
        self.run(at + 1)
        self.condition.trim(at)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.condition.dump()))
        for layer in state[-1].values():
            layer[2] = None  # when the layer last made samples: of no matter once time went on
        return {
            "state": state[-2:] if self.reader.windowed else state,
            "values": self.condition.values(),
            "shown": self.condition.show(),
            "filled": self.condition.filled(),
            "next": self.condition.next_change(),
            "idle": self.condition.idle(at),
        }


def fires(at: int) -> bool:
    return at % (3 * SECOND) < 2 * SECOND


def known(rule: Rule, samples: Sequence[Sample], end: int) -> dict[str, Any]:
    drive = Drive(rule)
    for sample in samples:
        drive.fold(sample)
    return drive.end(end)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("windowed", [False, True])
@given(data=st.data())
def test_order_of_arrival_and_restarts_leave_no_trace_in_any_condition(
    windowed: bool, restarts: bool, data: st.DataObject
) -> None:
    rule = data.draw(conditions(windowed=windowed))
    samples = data.draw(arrivals(rule))
    copies = msgspec.msgpack.Decoder(list[Sample]).decode(msgspec.msgpack.encode(samples))
    end = max((one.at for one in samples), default=0) + data.draw(st.integers(0, 12)) * SECOND
    drive = Drive(rule)
    for sample in samples:
        drive.fold(sample)
        if restarts and data.draw(st.booleans()):
            drive.restart()
    assert drive.end(end) == known(rule, sorted(copies, key=lambda one: one.at), end)
