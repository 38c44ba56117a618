"""Whatever the cut, the restarts and the arrival: silent watchers, leaps, the second stage."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.instant import to_us
from engine.model.signal import NEWS, ROSTER, Signal
from engine.rules.rule import Absent, Rule, Schedule, Selector, SequenceStep
from engine.rules.rule import Sequence as Steps
from tests.stream.building import a_beat, a_measure, a_rule, a_signal
from tests.stream.strategies import program, rules
from tests.stream.test_properties import arrival, crashed, folded, still_open

SECOND = 1_000_000
CORES = ("sequence", "absent", "schedule")
KINDS = ("k8s.object", "k8s.event", "alert", "beat", "beat", "beat", "clock", NEWS, ROSTER)
STEADY = settings(max_examples=40, deadline=None)


@st.composite
def outages(draw: st.DrawFn) -> list[Signal]:
    """Return a log in order of time with two watchers that rest, and the clock; with leaps.

    Sometimes the cluster leaves, comes back or is made anew, or a watcher ends.
    """
    log: list[Signal] = []
    at = 0
    for number in range(draw(st.integers(5, 30))):
        at += draw(st.sampled_from([1, 2, 5, 20, 45, 90]))
        kind = draw(st.sampled_from(KINDS))
        source = draw(st.sampled_from(["w1", "watchers/w2/c1"]))
        if kind == "beat":
            log.append(a_beat(at, source=source))
        elif kind == NEWS:
            change = draw(st.sampled_from(["left", "joined", "recreated", "renamed", "moved"]))
            log.append(a_signal(at, NEWS, {"change": change}, identity=f"n-{number}"))
        elif kind == ROSTER:
            log.append(a_signal(at, ROSTER, {"watchers": []}, identity=f"r-{number}"))
        elif kind == "clock":
            log.append(a_signal(at, "clock", {}, cluster="", identity=f"t-{number}"))
        else:
            log.append(draw(observed(at, kind, source, f"log-{number}")))
    return log


@st.composite
def observed(draw: st.DrawFn, at: float, kind: str, source: str, identity: str) -> Signal:
    """Return a signal of an object of the inventory, or about one."""
    name = draw(st.sampled_from(["a", "b"]))
    data: dict[str, Any] = {
        "kind": "Deployment",
        "name": name,
        "workload": name,
        "node": draw(st.sampled_from(["n1", "n2"])),
        "n": draw(st.integers(0, 4)),
        "bad": draw(st.booleans()),
        "uid": f"u-{name}",
    }
    if kind == "k8s.object":
        data["change"] = draw(st.sampled_from(["modified", "synced", "deleted"]))
    return a_signal(at, kind, data, source=source, identity=identity)


@st.composite
def cores(draw: st.DrawFn, name: str = "r") -> Rule:
    """Return a rule of a core of its own time, with all that such a rule can say of it."""
    rule = draw(rules(name, cores=CORES))
    if rule.absent is not None:
        expect = draw(st.sampled_from(["seen", "inventory"]))
        by = ("cluster", "workload") if expect == "inventory" else rule.by
        within = draw(st.sampled_from([8, 40])) * SECOND
        return replace(rule, by=by, absent=Absent(expect, within, rule.absent.after_us))
    if rule.schedule is not None:
        catch_up = draw(st.sampled_from(["none", "last", "all"]))
        jitter = draw(st.sampled_from([0, 20 * SECOND]))
        return replace(rule, schedule=Schedule("* * * * *", "UTC", jitter, catch_up))
    return rule


def second_stage() -> tuple[Rule, ...]:
    """Return rules over what `r` tells, alone by the clock, and over clusters that join."""
    opens = 'signal.data.rule == "r" && signal.data.state == "firing"'
    on = (Selector("condition"),)
    steps = tuple(
        SequenceStep(state, on, program(f'signal.data.state == "{state}"'))
        for state in ("firing", "resolved")
    )
    return (
        a_rule("watch", on="condition", by=("cluster",), when='signal.data.rule == "r"'),
        a_rule(
            "many",
            on="condition",
            by=(),
            when=opens,
            over="1m",
            measure=a_measure("count"),
            having="m.n > 1",
        ),
        a_rule("short", on="condition", by=("cluster",), sequence=Steps(steps, 40 * SECOND)),
        a_rule("alone", on="clock", by=(), schedule=Schedule("* * * * *", catch_up="last")),
        a_rule("joined", on="cluster", by=("cluster",)),
    )


@STEADY
@given(cores(), outages(), st.data())
def test_cuts_and_crashes_change_nothing(
    rule: Rule, log: list[Signal], data: st.DataObject
) -> None:
    in_force = [rule, *second_stage()]
    log = arrival(log, data, late=True)
    end = to_us(max(one.time for one in log)) + 100 * SECOND
    assert crashed(in_force, log, end, data) == folded(in_force, log, end)


@STEADY
@given(cores(), outages(), st.data())
def test_order_inside_the_lateness_changes_nothing_that_is_open_at_last(
    rule: Rule, log: list[Signal], data: st.DataObject
) -> None:
    rule = replace(rule, for_us=0, keep_firing_for_us=0)
    steady = [one for one in log if one.type not in {"clock", NEWS}]  # these count where they are
    shuffled = shaken(steady, data)
    end = to_us(log[-1].time) + 100 * SECOND
    found, expected = folded([rule], shuffled, end), folded([rule], steady, end)
    assert still_open(found) == still_open(expected)


def shaken(log: Sequence[Signal], data: st.DataObject) -> list[Signal]:
    """Return `log` with signals of the same watcher out of order by less than the lateness."""
    delays = st.integers(0, 1_999_999)
    keyed = [(to_us(one.time) + data.draw(delays), place, one) for place, one in enumerate(log)]
    return [one for _, _, one in sorted(keyed, key=lambda item: item[:2])]
