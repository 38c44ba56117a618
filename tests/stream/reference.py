"""A slow, obvious evaluator: the truth of a key is worked out anew, from the log, at each instant.

It knows signals in order of time, one cluster, one source, instants and durations on a grid of half
a second; of the fields of rules all cores and when, by, over, measure, having, clear, for,
keep_firing_for, stale_after, on_nodata.
"""

from collections.abc import Iterator, Sequence
from statistics import fmean, linear_regression, pstdev, quantiles
from typing import Any

from engine.model.instant import to_us
from engine.model.signal import FOLD_ONLY, HEARTBEAT, LEVEL_TYPES, NEWS, Signal, view
from engine.rules.cel import EvaluationError, Program
from engine.rules.rule import Rule
from engine.rules.rule import Sequence as Steps

SECOND = 1_000_000
MINUTE = 60 * SECOND
GRID = SECOND // 2
Move = tuple[int, tuple[str, ...], str]
Key = tuple[str, ...]
Log = Sequence[Signal]
Step = tuple[Signal | None, Signal]  # of one object: the signal before, and this one


def moves(rule: Rule, log: Log, end: int) -> list[Move]:
    """Return (instant, key, state) of every move of `rule` up to `end`, both included."""
    mine = [one for one in there(log) if any(one.type == on.type for on in rule.on)]
    keys = {key for one in mine if (key := key_of(rule, one)) is not None}
    return sorted(move for key in keys for move in _of_key(rule, key, mine, end))


def there(log: Log) -> list[Signal]:
    """Return what counts: of a cluster that left nothing, until a heartbeat or news of it."""
    found, left = [], False
    for one in log:
        if one.type == NEWS:
            left = one.data["change"] in {"left", "moved"} or (
                left and one.data["change"] not in {"joined", "renamed", "recreated"}
            )
        left = left and one.type != HEARTBEAT
        if not left or one.type in FOLD_ONLY:
            found.append(one)
    return found


def key_of(rule: Rule, signal: Signal) -> Key | None:
    found = [view(signal).get(name) for name in rule.by]
    return None if None in found else tuple(map(str, found))


def _of_key(rule: Rule, key: Key, log: Log, end: int) -> Iterator[Move]:
    hold, held = Hold(rule), set[str]()
    for at in range(to_us(log[0].time), end + 1, GRID):
        seen = [one for one in log if to_us(one.time) <= at]
        true, held = _true(rule, key, seen, at, (hold.state == "firing", held))
        found = (hold.turn(at, true=true), hold.time_out(at))
        yield from ((at, key, state) for state in found if state)


class Hold:
    """Prometheus' `for` and `keep_firing_for`, with a clock that stops at every instant."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.state, self.since, self.fell = rule, "inactive", 0, -1

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
        if self.state == "pending" and at >= self.since + self.rule.for_us:
            self.state = "firing"
            return "firing"
        if self.state == "firing" and 0 <= self.fell <= at - self.rule.keep_firing_for_us:
            self.state, self.fell = "inactive", -1
            return "resolved"
        return ""


Before = tuple[bool, set[str]]  # whether the key fires, and the members that count


def _true(rule: Rule, key: Key, seen: Log, at: int, before: Before) -> tuple[bool, set[str]]:
    if rule.schedule:
        seen = [one for one in seen if to_us(one.time) <= at - at % MINUTE]
        true = at % MINUTE < SECOND and _now(rule, key, seen, at - at % MINUTE, before)[0]
        return true, set()
    return _now(rule, key, seen, at, before)


def _now(rule: Rule, key: Key, seen: Log, at: int, before: Before) -> tuple[bool, set[str]]:
    mine, counting = [one for one in seen if key_of(rule, one) == key], set[str]()
    silent = rule.on_nodata != "keep" and _silent(rule, key, seen, at, (rule.stale_after_us, 0))
    if rule.sequence:
        ends = _completions(rule.sequence, mine, at)
        true = any(end <= at < end + rule.stale_after_us for end in ends)
    elif rule.absent:
        true = _silent(rule, key, seen, at, (rule.absent.within_us, rule.absent.after_us))
    elif rule.over_us:
        true = _window_true(rule, key, seen, at, firing=before[0])
    elif rule.on[0].type not in LEVEL_TYPES:
        met = [one for one in mine if ask(rule.when, one)]
        true = any(at < to_us(one.time) + rule.stale_after_us for one in met)
    else:
        latest = {one.data["uid"]: one for one in seen}
        lasting = before[1] if before[0] and not silent else set()
        counting = {uid for uid, one in latest.items() if _counts(rule, key, one, lasting)}
        true = bool(counting)
    return rule.on_nodata == "fire" if silent else true, counting


def _silent(rule: Rule, key: Key, seen: Log, at: int, allowed: tuple[int, int]) -> bool:
    """Whether a key was known for long enough and nothing came for as long as is allowed."""
    mine = [one for one in seen if key_of(rule, one) == key]
    alive = [one for one in mine if _exists(rule, one, seen)]
    if not alive:
        return False
    return at >= to_us(mine[-1].time) + allowed[0] and at >= to_us(alive[0].time) + allowed[1]


def _exists(rule: Rule, signal: Signal, seen: Log) -> bool:
    """Whether the object of `signal` was neither deleted since, nor moved to another key."""
    if signal.type != "k8s.object":
        return True
    uid, key = signal.data["uid"], key_of(rule, signal)
    later = [one for one in seen if one.time >= signal.time and one.data["uid"] == uid]
    return not any(one.data["change"] == "deleted" or key_of(rule, one) != key for one in later)


def _counts(rule: Rule, key: Key, last: Signal, lasting: set[str]) -> bool:
    if last.data.get("change") == "deleted" or key_of(rule, last) != key:
        return False
    lasts = rule.clear is not None and last.data["uid"] in lasting
    return ask(rule.when, last) or (lasts and not ask(rule.clear, last))


def _completions(steps: Steps, mine: Log, now: int) -> list[int]:
    """Return the instants at which the steps were complete, or a negated last one timed out."""
    partials: list[tuple[int, frozenset[int]]] = []  # time of the first step, steps taken
    ends, needed = [], range(len(steps.steps))
    for one in mine:
        at, used, kept = to_us(one.time), False, []
        fits = [n for n in needed if steps.steps[n].on[0].type == one.type]
        fits = [n for n in fits if ask(steps.steps[n].when, one)]
        for first, taken in sorted(partials, key=lambda partial: partial[0]):
            open_ = [n for n in needed if n not in taken][: 1 if steps.ordered else None]
            step = next((n for n in fits if n in open_), None)
            if at > first + steps.within_us or step is None or (used and not steps.overlap):
                kept.append((first, taken))
                continue
            used = True
            if len(taken) + 1 < len(needed):
                kept.append((first, taken | {step}))
            elif not steps.steps[-1].negated:
                ends.append(at)
        if fits and (fits[0] == 0 or not steps.ordered) and (steps.overlap or not used):
            kept.append((at, frozenset(fits[:1])))
        partials = kept
    if steps.steps[-1].negated:
        due = [
            first + steps.within_us for first, taken in partials if len(taken) + 1 == len(needed)
        ]
        ends += [end for end in due if end <= now]
    return ends


def _window_true(rule: Rule, key: Key, seen: Log, at: int, *, firing: bool) -> bool:
    passed = [one for one in seen if ask(rule.when, one) and key_of(rule, one) == key]
    inside = _inside(rule, passed, at)
    if not inside:
        return False
    session = max(1.0, (inside[-1].time - inside[0].time).total_seconds())
    seconds = session if rule.window == "session" else rule.over_us / SECOND
    steps = [(_before(one, passed, seen), one) for one in inside]
    if rule.measures[0].latest:  # a last one that is first as well: no Event grows into it
        inside = list({one.data["uid"]: one for one in inside}.values())
        steps = [(None, one) for one in inside]
    found = {one.name: _value(one.fn, steps, inside, seconds) for one in rule.measures}
    m = {name: value for name, value in found.items() if value is not None}
    met = holds(rule.having, {"m": m})
    return met or (firing and rule.clear is not None and not holds(rule.clear, {"m": m}))


def _inside(rule: Rule, passed: Log, at: int) -> list[Signal]:
    times = [(to_us(one.time), one) for one in passed]
    if rule.window == "sliding":
        return [one for time, one in times if time > at - rule.over_us]
    if rule.window == "tumbling":
        return [one for time, one in times if time >= at - at % rule.over_us]
    session: list[tuple[int, Signal]] = []
    for time, one in times:
        goes_on = session and time - session[-1][0] <= rule.gap_us
        if not goes_on or time - session[0][0] >= rule.over_us:
            session = []
        session.append((time, one))
    if not session or at >= session[0][0] + rule.over_us:
        return []
    over = at > session[-1][0] and at >= session[-1][0] + rule.gap_us
    return [] if over else [one for _, one in session]


def _value(fn: str, steps: list[Step], inside: Log, seconds: float) -> Any:
    values = [one.data["n"] for one in inside]
    times = [to_us(one.time) / SECOND for one in inside]
    pairs = [(then.data["n"], one.data["n"]) for then, one in steps if then is not None]
    increase = sum(now - then if now >= then else now for then, now in pairs)
    if fn[1:].isdigit():
        many = values * 2 if len(values) == 1 else values
        return quantiles(many, n=100, method="inclusive")[int(fn[1:]) - 1]
    return {
        "count": sum(_occurrences(then, one) for then, one in steps),
        "increase": increase,
        "rate": increase / seconds,
        "delta": sum(now - then for then, now in pairs),
        "changes": sum(now != then for then, now in pairs),
        "slope": linear_regression(times, values).slope if len(times) > 1 else None,
        "distinct": len(set(values)),
        "avg": fmean(values),
        "last": values[-1],
        "sum": sum(values),
        "min": min(values),
        "max": max(values),
        "stddev": pstdev(values),
    }[fn]


def _before(signal: Signal, passed: Log, seen: Log) -> Signal | None:
    same = [one for one in seen if one.time < signal.time and one.data["uid"] == signal.data["uid"]]
    earlier = [one for one in same if one in passed]
    gone = [one for one in same if one.data.get("change") == "deleted"]
    return None if not earlier or (gone and gone[-1].time >= earlier[-1].time) else earlier[-1]


def _occurrences(before: Signal | None, signal: Signal) -> int:
    if before is None or signal.type != "k8s.event":
        return 1
    return max(signal.data["count"] - before.data["count"], 0) or 1


def ask(program: Program | None, signal: Signal) -> bool:
    return holds(program, {"signal": view(signal), "now": signal.time, "m": {}})


def holds(program: Program | None, names: dict[str, Any]) -> bool:
    try:
        return program is None or program.evaluate(names) is True
    except EvaluationError:
        return False
