"""Replay: recorded signals through the evaluator, as lines; and the difference of two replays."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Any

from engine.model.firing import State, Step, Transition
from engine.model.ids import canonical
from engine.model.instant import parse_rfc3339, rfc3339, to_us
from engine.model.signal import Signal
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator

Line = dict[str, Any]
"""{at (RFC 3339), rule, key, state, value, firing, missions, reason} of one transition."""


def steps(
    sets: Sequence[RuleSet], records: Iterable[Sequence[Signal]], *, until: int | None = None
) -> Iterator[tuple[Step, ...]]:
    """Yield what each record gives under each of `sets`, in one pass over the log.

    Args:
        sets: rule sets.
        records: the log, in its order.
        until: pass over signals after this instant (microseconds since 1970), and let stream
            time go on up to it. None: time stops where the log ends.
    """
    evaluators = [Evaluator(rules) for rules in sets]
    for record in records:
        within = [one for one in record if until is None or to_us(one.time) <= until]
        yield tuple(evaluator.step(within) for evaluator in evaluators)
    if until is not None:
        yield tuple(evaluator.advance(until) for evaluator in evaluators)


def line_of(told: Transition) -> Line:
    """Return the line of a transition, without the missions that it may lead to."""
    return {
        "at": rfc3339(told.at),
        "rule": told.rule,
        "key": dict(told.key),
        "state": told.state.value,
        "value": dict(told.value),
        "firing": told.firing,
        "missions": [],
        "reason": told.reason,
    }


def diff(ours: Iterable[Line], theirs: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines that only one of two replays has; both, and these, in order of time.

    Each has a `side` more: `-` for a line of `ours` that `theirs` lacks, `+` for one that only
    `theirs` has. A line counts as often as it is there.
    """
    marked = merge(_marked(ours, "-"), _marked(theirs, "+"), key=lambda one: one[0])
    for _, group in groupby(marked, key=lambda one: one[0]):
        found: dict[str, list[Line]] = {"-": [], "+": []}
        for _, side, line in group:
            found[side].append(line)
        yield from ({**line, "side": "-"} for line in _without(found["-"], found["+"]))
        yield from ({**line, "side": "+"} for line in _without(found["+"], found["-"]))


class Summary:
    """How many lines of a diff each side has, and of which rules; lines are given to `take`."""

    def __init__(self) -> None:
        self._lines = {"-": 0, "+": 0}
        self._firings = {"-": 0, "+": 0}
        self._rules: set[str] = set()

    def take(self, line: Line) -> None:
        """Count one line."""
        self._lines[line["side"]] += 1
        self._firings[line["side"]] += line["state"] == State.FIRING
        self._rules.add(line["rule"])

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self._rules:
            return "both rule sets do the same"
        return (
            f"{self._lines['-']} lines less ({self._firings['-']} firings), "
            f"{self._lines['+']} more ({self._firings['+']} firings), "
            f"of {len(self._rules)} rules: {', '.join(sorted(self._rules))}"
        )


def _marked(lines: Iterable[Line], side: str) -> Iterator[tuple[tuple[Any, ...], str, Line]]:
    for line in lines:
        yield (parse_rfc3339(line["at"]), line["rule"], canonical(line["key"])), side, line


def _without(lines: Sequence[Line], others: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines that `others` has not, or not as often."""
    left = list(others)
    for line in lines:
        if line in left:
            left.remove(line)
        else:
            yield line
