"""Replay: recorded signals through the evaluator, as lines; and the difference of two replays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.model.firing import Launch, State, Step, Transition
from engine.model.ids import canonical
from engine.model.instant import rfc3339, to_us
from engine.model.signal import Signal
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator

Line = dict[str, Any]


def replay(
    rules: RuleSet,
    records: Iterable[Sequence[Signal]],
    *,
    start: int | None = None,
    until: int | None = None,
) -> Iterator[Line]:
    """Yield one line for each transition that `records` give under `rules`.

    A line is {at (RFC 3339), rule, key, state, value, firing, missions, reason}. The missions
    of a firing stand on the line of its opening, though they are launched when it has settled;
    so lines are given out when the log has been read. They are in order of time; at one
    instant in order of rule and key, and as they happened.

    Args:
        rules: the rules.
        records: the log, in its order.
        start: give lines from this instant on (microseconds since 1970).
        until: pass over signals after this instant, and let stream time go on up to it.
            None: time stops where the log ends.
    """
    evaluator = Evaluator(rules)
    found: list[Step] = []
    for record in records:
        within = [one for one in record if until is None or to_us(one.time) <= until]
        found.append(evaluator.step(within))
    if until is not None:
        found.append(evaluator.advance(until))
    launches = [launch for step in found for launch in step.launches]
    missions = _by_firing(launches)
    told = [one for step in found for one in step.transitions]
    told.sort(key=lambda one: (one.at, one.rule, sorted(one.key.items())))
    for transition in told:
        if start is None or transition.at >= start:
            yield _line(transition, missions)


def diff(ours: Iterable[Line], theirs: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines that only one of two replays has, in order of time.

    Each has a `side` more: `-` for a line of `ours` that `theirs` lacks, `+` for one that only
    `theirs` has. A line counts as often as it is there.
    """
    sides = {"-": _counted(ours), "+": _counted(theirs)}
    found = [
        {**line, "side": side}
        for side, other in (("-", "+"), ("+", "-"))
        for identity, lines in sides[side].items()
        for line in lines[len(sides[other].get(identity, ())) :]
    ]
    found.sort(key=lambda one: (one["at"], one["rule"], canonical(one["key"]), one["side"]))
    yield from found


def _by_firing(launches: Iterable[Launch]) -> dict[str, list[str]]:
    missions: dict[str, list[str]] = {}
    for launch in launches:
        missions.setdefault(launch.firing, []).append(launch.mission)
    return missions


def _line(told: Transition, missions: Mapping[str, list[str]]) -> Line:
    opens = told.state is State.FIRING
    return {
        "at": rfc3339(told.at),
        "rule": told.rule,
        "key": dict(told.key),
        "state": told.state.value,
        "value": dict(told.value),
        "firing": told.firing,
        "missions": list(missions.get(told.firing, ())) if opens else [],
        "reason": told.reason,
    }


def _counted(lines: Iterable[Line]) -> dict[bytes, list[Line]]:
    found: dict[bytes, list[Line]] = {}
    for line in lines:
        found.setdefault(canonical(line), []).append(line)
    return found
