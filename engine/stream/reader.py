"""Reader: what one rule reads off a signal: its key, whether it is met, what it measures."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from engine.model.ids import canonical
from engine.model.instant import from_us
from engine.model.signal import LEVEL_TYPES, MADE_BY, Signal, view
from engine.rules.cel import EvaluationError, Program
from engine.rules.rule import Measure, Rule
from engine.stream.account import Ledger
from engine.stream.condition import Condition
from engine.stream.measures import OCCURRENCES, STEPS, TAKEN, BadValue
from engine.stream.members import Members
from engine.stream.sample import Sample
from engine.stream.series import series_of
from engine.stream.spans import Session, Tumbling
from engine.stream.window import Window

DAY_US: Final = 86_400_000_000
EVENT_MEMORY_US: Final = 7_200_000_000
MAX_DEPTH: Final = 5
"""Missions and changes of dogwatch on the way to a signal; one with more starts nothing."""


class Sight:
    """One signal as rules see it, made once for all of them.

    Attributes:
        signal: the signal.
        at: its time in microseconds since 1970.
        level: it is about an object or series whose latest signal decides.
        series: that object or series; for an Event the uid, else empty.
        gone, synced: the object was deleted; it was seen in a list only.
    """

    __slots__ = ("at", "bindings", "gone", "level", "seen", "series", "signal", "synced")

    def __init__(self, signal: Signal, at: int) -> None:
        self.signal = signal
        self.at = at
        self.level = signal.type in LEVEL_TYPES
        self.series = series_of(signal)
        change = signal.data.get("change") if signal.type == "k8s.object" else None
        self.gone = change == "deleted"
        self.synced = change == "synced"
        self.seen: dict[str, Any] | None = None
        self.bindings: dict[str, Any] = {}

    def open(self) -> dict[str, Any]:
        """Return the signal as expressions see it."""
        if self.seen is None:
            self.seen = view(self.signal)
            self.bindings = {"signal": self.seen, "now": self.signal.time}
            old = self.signal.data.get("old")
            if old is not None and not self.synced:
                self.bindings["old"] = old
        return self.seen


class Reader:
    """One rule, made ready. `counters` (name with labels -> count) and `ledger` are shared."""

    def __init__(self, rule: Rule, counters: Counter[str], ledger: Ledger | None = None) -> None:
        self.rule = rule
        self._ledger = Ledger() if ledger is None else ledger
        self.windowed = bool(rule.over_us)
        self.lasting = rule.clear is not None
        self._counters = counters
        self._getters = [(name, _path(name), rule.by_default.get(name)) for name in rule.by]
        self._needs_now = any(
            path[0] == "now"
            for program in (rule.having, rule.clear)
            if program is not None
            for path in program.paths
        )
        self._occurrences = bool(rule.measures) and all(
            measure.fn in OCCURRENCES for measure in rule.measures
        )
        self._counts = any(measure.fn == "count" for measure in rule.measures)
        self.tracks = any(measure.fn in STEPS for measure in rule.measures)

    def condition(self) -> Condition:
        """Return the empty condition of a new key."""
        rule = self.rule
        if not self.windowed:
            return Members(rule.stale_after_us, lasting=self.lasting)
        kinds = {selector.type for selector in rule.on}
        memory = EVENT_MEMORY_US if kinds == {"k8s.event"} else DAY_US
        forgets = None if "k8s.object" in kinds else memory
        if rule.window == "session":
            return Session(rule.measures, rule.over_us, forgets, rule.gap_us)
        kind = Tumbling if rule.window == "tumbling" else Window
        return kind(rule.measures, rule.over_us, forgets)

    def key(self, sight: Sight) -> tuple[str, ...] | None:
        """Return the group key; None where a part is missing, which is counted."""
        seen = sight.open()
        found = []
        for _, path, default in self._getters:
            value: Any = seen
            for part in path:
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is None:
                if default is None:
                    self.count("missing_key")
                    return None
                value = default
            found.append(value if type(value) is str else _text(value))
        return tuple(found)

    def named(self, key: tuple[str, ...]) -> dict[str, str]:
        """Return the group key by name, as transitions show it."""
        return dict(zip(self.rule.by, key, strict=True))

    def expressions(self) -> set[str]:
        """Return the texts of what the rule asks."""
        rule = self.rule
        programs = [rule.when, rule.having, rule.clear]
        programs += [program for one in rule.measures for program in (one.of, one.where)]
        programs += [one.when for one in rule.sequence.steps] if rule.sequence else []
        return {program.source for program in programs if program is not None}

    def refuses(self, sight: Sight) -> bool:
        """Whether a signal starts nothing although it is true: dogwatch made it; it counts.

        Or too many missions lie on the way to it. A deletion is never refused: it only ends.
        """
        data = sight.signal.data
        depth = data.get("depth")
        if sight.gone:
            return False
        if self.rule.ignore_self and data.get("madeBy") == MADE_BY:
            self.count("ignored_self")
            return True
        if type(depth) is int and depth > MAX_DEPTH:
            self.count("too_deep")
            return True
        return False

    def passes(self, sight: Sight) -> bool | None:
        """Whether `when` is true of the signal; None where it has no value (an error)."""
        return True if self.rule.when is None else self._ask(self.rule.when, self._bind(sight))

    def level(self, sight: Sight) -> Sample | None:
        """Return what the signal says to a rule without a window; None: it decides nothing."""
        met = self.passes(sight)
        bindings = self._bind(sight) | {"m": {}}
        if met and self.rule.having is not None:
            met = self._ask(self.rule.having, bindings)
        cleared: bool | None = True
        if met is False and self.rule.clear is not None:
            cleared = self._ask(self.rule.clear, bindings)
        if met is None or cleared is None or (met and self.refuses(sight)):
            return None
        sample = _sample(sight, sight.series if sight.level else "")
        sample.met, sample.cleared = met, cleared
        return sample

    def window(self, sight: Sight) -> Sample | None:
        """Return what the signal adds to a window; None where it does not enter it."""
        if (sight.synced and self._occurrences) or not self.passes(sight) or self.refuses(sight):
            return None
        sample = _sample(sight, sight.series)
        bindings = self._bind(sight)
        sample.growing = self._counts and sight.signal.type == "k8s.event"
        sample.raws = tuple(self._raw(one, sight, bindings) for one in self.rule.measures)
        return sample

    def truth(self, condition: Condition, at: int, *, firing: bool) -> bool | None:
        """Whether the condition is true at `at`; None where that can not be said (an error).

        One without anything to be true of is false, unless it lasts while the key fires. While
        it fires, the rule's `clear` must be true to end it; a `having` that is true again wins.
        """
        rule = self.rule
        if not condition.filled():
            return firing and condition.lasts()
        if not self.windowed or rule.having is None:
            return True
        bindings: dict[str, Any] = {"m": condition.values(), "params": rule.params}
        if self._needs_now:
            bindings["now"] = from_us(at)
        met = self._ask(rule.having, bindings)
        if met is False and firing and rule.clear is not None:
            cleared = self._ask(rule.clear, bindings)
            return None if cleared is None else not cleared
        return met

    def count(self, what: str) -> None:
        """Count one `what` of this rule."""
        self._counters[f'{what}{{rule="{self.rule.name}"}}'] += 1

    def _bind(self, sight: Sight) -> dict[str, Any]:
        sight.open()
        sight.bindings["params"] = self.rule.params
        return sight.bindings

    def _ask(self, program: Program, bindings: Mapping[str, Any]) -> bool | None:
        """Return a verdict: a missing field is false, any other error is None; both count."""
        try:
            met = program.evaluate(bindings) is True
        except EvaluationError as error:
            self._fail(program, error, missing=error.missing)
            return False if error.missing else None
        self._pass(program)
        return met

    def _pass(self, program: Program) -> None:
        if self._ledger.failing:
            self._ledger.passed(self.rule.name, program.source)

    def _fail(self, program: Program, error: Exception, *, missing: bool = False) -> None:
        self.count("missing_field" if missing else "errors")
        if not missing:
            self._ledger.failed(self.rule.name, program.source, str(error))

    def _raw(self, measure: Measure, sight: Sight, bindings: Mapping[str, Any]) -> Any:
        if sight.synced and measure.fn in OCCURRENCES:
            return None
        if measure.where is not None and not self._ask(measure.where, bindings):
            return None
        try:
            value = 1 if measure.of is None else measure.of.evaluate(bindings)
            if measure.fn == "count":
                taken = _event_count(sight.signal) if sight.signal.type == "k8s.event" else 1
            else:
                taken = TAKEN[measure.fn](value, sight.at)
        except (EvaluationError, BadValue) as error:
            if measure.of is not None:
                missing = isinstance(error, EvaluationError) and error.missing
                self._fail(measure.of, error, missing=missing)
            return None
        if measure.of is not None:
            self._pass(measure.of)
        return taken


def _sample(sight: Sight, series: str) -> Sample:
    data = sight.signal.data
    name, node, value = data.get("name"), data.get("node"), data.get("value")
    depth = data.get("depth")
    return Sample(
        sight.at,
        series,
        name if isinstance(name, str) else sight.signal.subject or "",
        node if isinstance(node, str) else "",
        sight.signal.id,
        gone=sight.gone,
        value=value if isinstance(value, str | int | float) else None,
        depth=depth if type(depth) is int else 0,
    )


def _event_count(signal: Signal) -> int:
    count = signal.data.get("count")
    return count if type(count) is int and 0 < count < 2**53 else 1


def _path(name: str) -> tuple[str, ...]:
    """Return the way from the view of a signal to what `by` names."""
    if name.startswith("labels."):
        return ("labels", name.removeprefix("labels."))
    return tuple(name.removeprefix("signal.").split("."))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return canonical(value).decode()
