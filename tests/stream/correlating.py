"""Rules that correlate firings, and a slow reference for them: plain sets, at each instant."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from hypothesis import strategies as st

from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.rule import Correlate, Rule
from tests.stream.building import a_rule, a_signal
from tests.stream.reference import GRID, Hold, Move

SECOND = 1_000_000
NAMES = ("a", "b", "c", "d", "e")
LABELS = ("node", "app", "cluster")
MEMBERS = tuple(
    a_rule(name, by=("cluster", "node"), labels={"team": f"t{name}", "app": "x"}) for name in NAMES
)


def correlating(name: str, wanted: Correlate, **fields: Any) -> Rule:
    return a_rule(name, "condition", correlate=wanted, by=wanted.on, hash=repr(wanted), **fields)


def a_condition(at: float, rule: str, firing: str, *, opens: bool = True, **labels: str) -> Signal:
    """Return that a firing of `rule` opened or ended; `labels` are node, app, cluster ..."""
    state = "firing" if opens else "resolved"
    key = {"signal.data.app": labels["app"]} if "app" in labels else {}
    data = {"rule": rule, "state": state, "firing": firing, "cluster": "c1", **labels, "key": key}
    identity = firing if opens else f"{firing}/resolved"
    return a_signal(at, "condition", data, cluster="", identity=identity)


@st.composite
def wishes(draw: st.DrawFn) -> Correlate:
    """Return any correlation of a few rules."""
    names = draw(st.permutations(NAMES))
    first = draw(st.integers(0, 4))
    second = draw(st.integers(0 if first else 1, 5 - first)) + first
    third = draw(st.integers(second, 5))
    every = Correlate(
        tuple(draw(st.permutations(LABELS))[: draw(st.integers(1, 2))]),
        tuple(names[:first]),
        tuple(names[first:second]),
        tuple(names[second:third]),
    )
    if len(every.all) + bool(every.any) < 2:
        return every
    within = draw(st.sampled_from([0, 0, 2, 5])) * SECOND
    return replace(every, within_us=within, ordered=draw(st.booleans()))


@st.composite
def rules(draw: st.DrawFn, name: str) -> Rule:
    return replace(
        correlating(name, draw(wishes())),
        for_us=draw(st.sampled_from([0, 0, 2, 4])) * SECOND,
        keep_firing_for_us=draw(st.sampled_from([0, 0, 2, 4])) * SECOND,
    )


@st.composite
def conditions(draw: st.DrawFn, most: int = 40) -> list[Signal]:
    """Return openings and ends at distinct instants of half a second, in order."""
    log: list[Signal] = []
    open_: list[Signal] = []
    at = 0
    for number in range(draw(st.integers(1, most))):
        at += draw(st.sampled_from([1, 1, 2, 5, 9]))
        if open_ and draw(st.integers(0, 2)) == 0:
            first = open_.pop(draw(st.integers(0, len(open_) - 1)))
            labels = {one: first.data[one] for one in LABELS if one in first.data}
            rule, firing = first.data["rule"], first.data["firing"]
            log.append(a_condition(at / 2, rule, firing, opens=False, **labels))
            continue
        labels = {"node": draw(st.sampled_from(["n1", "n2"]))}
        if draw(st.booleans()):
            labels["app"] = "y"
        opened = a_condition(at / 2, draw(st.sampled_from(NAMES)), f"f{number}", **labels)
        log.append(opened)
        open_.append(opened)
    return log


def moves(rule: Rule, log: Sequence[Signal], end: int) -> list[Move]:
    """Return (instant, key, state) of every move of `rule` up to `end`, both included."""
    return sorted(move for key in _keys(rule, log) for move in _of_key(rule, key, log, end))


def _of_key(rule: Rule, key: tuple[str, ...], log: Sequence[Signal], end: int) -> Iterator[Move]:
    hold = Hold(rule)
    for at in range(to_us(log[0].time), end + 1, GRID):
        found = (hold.turn(at, true=true_of(rule, key, log, at)), hold.time_out(at))
        yield from ((at, key, state) for state in found if state)


def true_of(rule: Rule, key: tuple[str, ...], log: Sequence[Signal], at: int) -> bool:
    """Whether the firings that are open at `at` are such as the rule asks for."""
    wanted = rule.correlate
    assert wanted is not None
    ended = {one.data["firing"] for one in log if _is(one, "resolved") and to_us(one.time) <= at}
    mine = [
        one
        for one in log
        if _is(one, "firing") and to_us(one.time) <= at and one.data["firing"] not in ended
        if [_label(one, name) for name in wanted.on] == list(key)
    ]
    times = {name: [to_us(one.time) for one in mine if one.data["rule"] == name] for name in NAMES}
    if any(times[name] for name in wanted.none):
        return False
    lists = [times[name] for name in wanted.all]
    lists += [[at for name in wanted.any for at in times[name]]] if wanted.any else []
    return any(_fits(wanted, found) for found in product(*lists))


def _fits(wanted: Correlate, times: Sequence[int]) -> bool:
    in_order = not wanted.ordered or list(times) == sorted(times)
    apart = max((abs(a - b) for a, b in combinations(times, 2)), default=0)
    return in_order and (not wanted.within_us or apart <= wanted.within_us)


def _keys(rule: Rule, log: Sequence[Signal]) -> set[tuple[str, ...]]:
    found = {tuple(_label(one, name) for name in rule.by) for one in log}
    return {key for key in found if "" not in key}


def _label(signal: Signal, name: str) -> str:
    of_rule = next(one.labels for one in MEMBERS if one.name == signal.data["rule"])
    return str(signal.data.get(name) or of_rule.get(name) or "")


def _is(signal: Signal, state: str) -> bool:
    return bool(signal.data["state"] == state)
