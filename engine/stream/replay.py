"""Replay: recorded signals through the evaluator, as lines; and the difference of two replays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.model.firing import State, Step, Transition
from engine.model.ids import canonical
from engine.model.instant import rfc3339, to_us
from engine.model.signal import Signal
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator

Line = dict[str, Any]


class Replay:
    """One fold of a log, record by record; only what was told of it is kept."""

    def __init__(
        self, rules: RuleSet, *, start: int | None = None, until: int | None = None
    ) -> None:
        """Begin with nothing folded.

        Args:
            rules: the rules.
            start: give lines from this instant on (microseconds since 1970).
            until: pass over signals after this instant, and let stream time go on up to it.
                None: time stops where the log ends.
        """
        self._evaluator = Evaluator(rules)
        self._start, self._until = start, until
        self._told: list[Transition] = []
        self._missions: dict[str, list[str]] = {}

    def take(self, record: Sequence[Signal]) -> None:
        """Fold one record of the log."""
        until = self._until
        within = record if until is None else [one for one in record if to_us(one.time) <= until]
        self._keep(self._evaluator.step(within))

    def lines(self) -> Iterator[Line]:
        """End the log; yield a line for each transition.

        A line is {at (RFC 3339), rule, key, state, value, firing, missions, reason}. The
        missions of a firing stand on the line of its opening, though they are launched when it
        has settled. They are in order of time; at one instant in order of rule and key, and as
        they happened.
        """
        if self._until is not None:
            self._keep(self._evaluator.advance(self._until))
        self._told.sort(key=lambda one: (one.at, one.rule, sorted(one.key.items())))
        for transition in self._told:
            if self._start is None or transition.at >= self._start:
                yield _line(transition, self._missions)

    def _keep(self, step: Step) -> None:
        self._told += step.transitions
        for launch in step.launches:
            self._missions.setdefault(launch.firing, []).append(launch.mission)


def replay(
    rules: RuleSet,
    records: Iterable[Sequence[Signal]],
    *,
    start: int | None = None,
    until: int | None = None,
) -> Iterator[Line]:
    """Yield one line for each transition that `records` give under `rules`; see `Replay`."""
    run = Replay(rules, start=start, until=until)
    for record in records:
        run.take(record)
    yield from run.lines()


def replay_both(
    sets: tuple[RuleSet, RuleSet],
    records: Iterable[Sequence[Signal]],
    *,
    start: int | None = None,
    until: int | None = None,
) -> Iterator[Line]:
    """Yield the `diff` of `records` under two rule sets, which are folded side by side."""
    ours, theirs = (Replay(rules, start=start, until=until) for rules in sets)
    for record in records:
        ours.take(record)
        theirs.take(record)
    yield from diff(ours.lines(), theirs.lines())


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


def summary(lines: Iterable[Line]) -> str:
    """Return in a sentence how many lines of a diff each side has, and of which rules."""
    sides = {"-": 0, "+": 0}
    firings = dict(sides)
    rules: set[str] = set()
    for line in lines:
        sides[line["side"]] += 1
        firings[line["side"]] += line["state"] == State.FIRING
        rules.add(line["rule"])
    if not rules:
        return "both rule sets do the same"
    return (
        f"{sides['-']} lines less ({firings['-']} firings), {sides['+']} more "
        f"({firings['+']} firings), of {len(rules)} rules: {', '.join(sorted(rules))}"
    )


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
