"""A slow, obvious evaluator: everything is worked out anew, from the whole log, at each instant.

It knows signals in order with distinct times, one cluster, one source; and of the fields of
rules when, by, over, measure, having, clear, for, keep_firing_for and stale_after.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.model.instant import to_us
from engine.model.signal import LEVEL_TYPES, Signal, view
from engine.rules.cel import EvaluationError, Program
from engine.rules.rule import Measure, Rule

_PLAIN: dict[str, Callable[[list[int]], Any]] = {
    "distinct": lambda values: len(set(values)),
    "avg": lambda values: sum(values) / len(values),
    "last": lambda values: values[-1],
    "sum": sum,
    "min": min,
    "max": max,
}
Move = tuple[int, tuple[str, ...], str]


def moves(rule: Rule, log: Sequence[Signal], end: int) -> list[Move]:
    """Return (instant, key, state) of every move of `rule` up to `end`, both included."""
    mine = [one for one in log if any(one.type == on.type for on in rule.on)]
    keys = {key for one in mine if (key := key_of(rule, one)) is not None}
    return sorted(move for key in keys for move in _of_key(rule, key, mine, end))


def key_of(rule: Rule, signal: Signal) -> tuple[str, ...] | None:
    found = [view(signal).get(name) for name in rule.by]
    return None if None in found else tuple(map(str, found))


def _of_key(rule: Rule, key: tuple[str, ...], log: Sequence[Signal], end: int) -> Iterator[Move]:
    gaps = (0, rule.over_us, rule.stale_after_us)
    instants = {to_us(one.time) + gap for one in log for gap in gaps}
    hold, held = Hold(rule), set[str]()
    while True:
        due = hold.due()
        after = [*instants, *([] if due is None else [due])]
        if not after or min(after) > end:
            return
        at = min(after)
        instants = {one for one in instants if one > at}
        seen = [one for one in log if to_us(one.time) <= at]
        true, held = _true(rule, key, seen, at, (hold.state == "firing", held))
        yield from (
            (at, key, state) for state in (hold.turn(at, true=true), hold.time_out(at)) if state
        )


class Hold:
    """Prometheus' `for` and `keep_firing_for`, with a clock that stops at every instant."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.state, self.since, self.fell = rule, "inactive", 0, -1

    def due(self) -> int | None:
        if self.state == "pending":
            return self.since + self.rule.for_us
        falls = self.state == "firing" and self.fell >= 0
        return self.fell + self.rule.keep_firing_for_us if falls else None

    def turn(self, at: int, *, true: bool) -> str:
        if true and self.state == "inactive":
            self.state, self.since = "pending", at
            return "pending" if self.rule.for_us else ""
        if not true and self.state == "pending":
            self.state = "inactive"
            return "inactive"
        if self.state == "firing":
            self.fell = -1 if true else at if self.fell < 0 else self.fell
        return ""

    def time_out(self, at: int) -> str:
        due = self.due()
        if due is None or at < due:
            return ""
        self.fell = -1
        self.state = "firing" if self.state == "pending" else "inactive"
        return "firing" if self.state == "firing" else "resolved"


def _true(
    rule: Rule, key: tuple[str, ...], seen: Sequence[Signal], at: int, before: tuple[bool, set[str]]
) -> tuple[bool, set[str]]:
    if rule.over_us:
        return _window_true(rule, key, seen, at, firing=before[0]), set()
    if seen and seen[0].type not in LEVEL_TYPES:
        mine = [one for one in seen if key_of(rule, one) == key and ask(rule.when, one)]
        return any(at < to_us(one.time) + rule.stale_after_us for one in mine), set()
    latest = {one.data["uid"]: one for one in seen}
    counting = {uid for uid, one in latest.items() if _counts(rule, key, one, uid, before)}
    return bool(counting), counting


def _counts(
    rule: Rule, key: tuple[str, ...], last: Signal, uid: str, before: tuple[bool, set[str]]
) -> bool:
    if last.data["change"] == "deleted" or key_of(rule, last) != key:
        return False
    lasting = rule.clear is not None and before[0] and uid in before[1]
    return ask(rule.when, last) or (lasting and not ask(rule.clear, last))


def _window_true(
    rule: Rule, key: tuple[str, ...], seen: Sequence[Signal], at: int, *, firing: bool
) -> bool:
    passed = [one for one in seen if ask(rule.when, one) and key_of(rule, one) == key]
    inside = [one for one in passed if to_us(one.time) > at - rule.over_us]
    if not inside:
        return False
    m = {
        measure.name: value
        for measure in rule.measures
        if (value := _value(measure, passed, inside)) is not None
    }
    met = ask_group(rule.having, m)
    return met or (firing and rule.clear is not None and not ask_group(rule.clear, m))


def _value(measure: Measure, passed: Sequence[Signal], inside: Sequence[Signal]) -> Any:
    values = [one.data["n"] for one in inside]
    match measure.fn:
        case "count":
            return sum(_occurrences(one, passed) for one in inside)
        case "increase":
            return sum(_growth(one, passed) for one in inside)
        case fn:
            return _PLAIN[fn](values)


def _before(signal: Signal, passed: Sequence[Signal]) -> Signal | None:
    earlier = [
        one for one in passed if one.time < signal.time and one.data["uid"] == signal.data["uid"]
    ]
    last = earlier[-1] if earlier else None
    return None if last is None or last.data.get("change") == "deleted" else last


def _growth(signal: Signal, passed: Sequence[Signal]) -> int:
    before = _before(signal, passed)
    if before is None:
        return 0
    now, then = signal.data["n"], before.data["n"]
    return int(now - then if now >= then else now)


def _occurrences(signal: Signal, passed: Sequence[Signal]) -> int:
    before = _before(signal, passed) if signal.type == "k8s.event" else None
    if before is None or signal.data["count"] <= before.data["count"]:
        return 1
    return int(signal.data["count"] - before.data["count"])


def ask(program: Program | None, signal: Signal) -> bool:
    if program is None:
        return True
    try:
        return program.evaluate({"signal": view(signal), "now": signal.time, "m": {}}) is True
    except EvaluationError:
        return False


def ask_group(program: Program | None, m: dict[str, Any]) -> bool:
    try:
        return program is None or program.evaluate({"m": m}) is True
    except EvaluationError:
        return False
