"""One evaluator for all, or one for each group of clusters and one across: the same is found."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.model.firing import Step
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.rule import Correlate, Rule, Selector
from engine.stream.evaluator import Evaluator, OpenKey
from engine.stream.stage import Stage
from tests.stream.building import (
    Run,
    a_beat,
    a_measure,
    a_pod,
    a_rule,
    a_set,
    a_signal,
    seconds,
    us,
)
from tests.stream.correlating import correlating
from tests.stream.strategies import TYPES, logs, whole_rules
from tests.stream.test_properties import arrival, told

CLUSTERS = ("c1", "c2", "c3", "c4")
CONDITION = 'signal.data.rule in ["a", "b"]'
FAILS = a_rule(
    "fails",
    selectors=tuple(map(Selector, TYPES)),
    when="1 / (signal.data.n / 4) > 0",
    by=("cluster",),
)
ACROSS = (
    a_rule("open", on="condition", when=CONDITION, by=("cluster",), cooldown="10s", mission={}),
    a_rule(
        "everywhere",
        on="condition",
        when=f'{CONDITION} && signal.data.state == "firing"',
        by=("signal.data.rule",),
        over="20s",
        measure=a_measure("distinct", "signal.cluster"),
        having="m.n >= 2",
        mission={},
    ),
    a_rule("joined", on="cluster", by=("cluster",), mission={}),
    a_rule(
        "silent",
        on="condition",
        when='signal.data.rule == "watcher-silent"',
        by=("cluster", "name"),
        **{"for": "3s"},
    ),
    a_rule("sick", on="condition", when='signal.data.state == "degraded"', by=("cluster",)),
    a_rule("closed", on="mission", by=("signal.data.mission",)),
    correlating("ab", Correlate(("cluster",), all=("a", "b")), mission={}),
    correlating("only-a", Correlate(("cluster",), all=("a",), none=("b",)), **{"for": "2s"}),
    correlating("chain", Correlate(("cluster",), all=("open",), any=("only-a", "ab")), mission={}),
)


@st.composite
def records(draw: st.DrawFn) -> list[Signal]:
    """Return signals of several clusters, clocks and missions, out of order as they may come."""
    log = []
    for one in draw(logs(beats=True, size=40)):
        log.append(msgspec.structs.replace(one, cluster=draw(st.sampled_from(CLUSTERS))))
        at = seconds(to_us(one.time))
        if draw(st.integers(0, 3)) == 0:
            log.append(a_signal(at + draw(st.sampled_from([0, 40])), "clock", {}, cluster=""))
        if draw(st.integers(0, 9)) == 0:
            done = {"mission": draw(st.sampled_from(["m1", "m2"]))}
            log.append(a_signal(at, "mission", done, cluster=""))
    return log


class Kept:
    """An evaluator that may crash after any step, to go on from its last checkpoint."""

    def __init__(self, rules: Sequence[Rule], stage: Stage) -> None:
        self.rules, self.stage = a_set(*rules), stage
        self.state: dict[str, bytes] = {}
        self.evaluator = Evaluator(self.rules, stage=stage)

    def crash(self) -> None:
        for name, raw in self.evaluator.changes().items():
            if raw is None:
                self.state.pop(name, None)
            else:
                self.state[name] = raw
        self.evaluator = Evaluator(self.rules, self.state, stage=self.stage)


class Apart:
    """One evaluator of the first stage for each group of clusters, and one of the second."""

    def __init__(self, rules: Sequence[Rule], groups: dict[str, int], data: st.DataObject) -> None:
        self.groups, self.data = groups, data
        self.firsts = {group: Kept(rules, Stage.FIRST) for group in sorted(set(groups.values()))}
        self.second = Kept(rules, Stage.SECOND)
        self.given: list[Signal] = []
        self.steps: list[Step] = []

    def see(self, signal: Signal) -> None:
        if signal.cluster:
            self.pass_on([self.firsts[self.groups[signal.cluster]].evaluator.step([signal])])
        else:
            self.steps.append(self.second.evaluator.step([signal]))
            if signal.type == "clock":
                self.pass_on([one.evaluator.step([signal]) for one in self.firsts.values()])
        for one in (*self.firsts.values(), self.second):
            if self.data.draw(st.integers(0, 7)) == 0:
                one.crash()

    def to(self, at: int) -> None:
        self.pass_on([one.evaluator.advance(at) for one in self.firsts.values()])
        self.steps.append(self.second.evaluator.advance(at))

    def pass_on(self, steps: Sequence[Step]) -> None:
        self.steps += steps
        conditions = in_order(one for step in steps for one in step.conditions)
        again = self.data.draw(st.sampled_from(self.given)) if self.given else None
        if again is not None and len(self.given) % 2:
            conditions.append(again)
        self.given += conditions
        self.steps.append(self.second.evaluator.step(conditions))

    def state(self) -> dict[str, bytes]:
        """Return the state of all, the second stage first, as one evaluator can read it."""
        found: dict[str, bytes] = {}
        for kept in (self.second, *self.firsts.values()):
            kept.crash()
            found |= kept.state
        return found

    def open(self) -> list[OpenKey]:
        each = [*self.firsts.values(), self.second]
        found = [one for kept in each for one in kept.evaluator.open()]
        return sorted(found, key=lambda one: (one.cluster, one.rule, sorted(one.key.items())))


def in_order(conditions: Iterable[Signal]) -> list[Signal]:
    """Return what several evaluators gave at one point of the log as a single one gives it."""

    def place(one: Signal) -> tuple[Any, ...]:
        data = one.data
        if one.type == "cluster":
            return 3, data["cluster"]
        if data.get("state") in {"degraded", "healthy"}:
            return (2,)
        if data.get("rule") == "watcher-silent":
            return 0, data["cluster"]
        return 1, one.time, data["rule"], sorted(data["key"].items())

    return sorted(conditions, key=place)


@given(whole_rules("a", "b"), whole_rules("b", "a"), records(), st.data())
def test_a_first_stage_for_each_group_of_clusters_finds_what_one_evaluator_finds(
    one: Rule, two: Rule, log: list[Signal], data: st.DataObject
) -> None:
    rules = [one, two, FAILS, *ACROSS]
    groups = {cluster: data.draw(st.integers(0, 2)) for cluster in CLUSTERS}
    whole, apart = Evaluator(a_set(*rules)), Apart(rules, groups, data)
    steps = []
    for signal in arrival(log, data):
        steps.append(whole.step([signal]))
        apart.see(signal)
    steps.append(whole.advance(us(300)))
    apart.to(us(300))
    assert told(apart.steps) == told(steps)
    assert apart.open() == whole.open()
    assert Evaluator(a_set(*rules), apart.state()).open() == whole.open()


def test_both_stages_give_no_conditions_out() -> None:
    step = Evaluator(a_set(a_rule())).step([a_pod(0)])
    assert [one.rule for one in step.transitions] == ["r"]
    assert step.conditions == ()


def test_a_stage_counts_what_is_not_its_own() -> None:
    first = Evaluator(a_set(a_rule()), stage=Stage.FIRST)
    first.step([a_signal(0, "mission", {"mission": "m"}, cluster=""), a_pod(0, cluster="")])
    assert first.counters()["misplaced"] == 2
    second = Evaluator(a_set(a_rule()), stage=Stage.SECOND)
    assert second.step([a_pod(0), a_beat(1)]).transitions == ()
    assert second.counters()["misplaced"] == 2


def test_a_clock_moves_no_time_of_the_first_stage() -> None:
    first = Evaluator(a_set(a_rule(**{"for": "10s"})), stage=Stage.FIRST)
    first.step([a_beat(0), a_pod(0)])
    step = first.step([a_signal(40, "clock", {}, cluster="")])
    assert step.transitions == ()
    assert [one.data["rule"] for one in step.conditions] == ["watcher-silent"]
    assert first.step([a_signal(45, "clock", {}, cluster="")]).conditions == ()


def test_a_condition_that_comes_again_an_hour_later_counts_once() -> None:
    first = Evaluator(a_set(a_rule()), stage=Stage.FIRST)
    conditions = first.step([a_beat(0), a_pod(0)]).conditions
    assert [one.type for one in conditions] == ["cluster", "condition"]
    joined, opened = conditions
    seen = Run()
    seen.evaluator = Evaluator(a_set(*ACROSS[2:3]), stage=Stage.SECOND)
    seen.see(joined, opened, a_signal(3600, "clock", {}, cluster=""), joined, opened)
    assert seen.moves == [(0, "firing"), (300, "resolved")]
    assert seen.count("duplicate") == 2
