"""Reader: what one rule reads off a signal: its key, whether it is met, what it measures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from engine.model.ids import canonical
from engine.model.instant import from_us
from engine.model.signal import MADE_BY, Signal
from engine.rules.cel import EvaluationError, Program
from engine.rules.rule import Measure, Rule
from engine.rules.selectors import second_stage
from engine.stream.account import Ledger
from engine.stream.condition import Condition
from engine.stream.conditions import Means, asks_time, condition_of, rebound
from engine.stream.cron import Instants
from engine.stream.feeds import Feed, Signs, Steps
from engine.stream.measures import OCCURRENCES, STEPS, TAKEN, BadValue
from engine.stream.nodata import Nodata
from engine.stream.sample import Sample
from engine.stream.sight import MORTAL, Sight, sample_of

_KEPT: Final = frozenset({"name", "node", "value", "change", "madeBy", "depth"})
MAX_DEPTH: Final = 5
"""Missions and changes of dogwatch on the way to a signal; one with more starts nothing."""


Getters = list[tuple[tuple[str, ...], str | None]]
"""For each part of a group key the way to it, and its value where there is none."""


class Reader:
    """One rule, made ready. `counters` (name with labels -> count) and `ledger` are shared."""

    def __init__(self, rule: Rule, counters: Counter[str], ledger: Ledger | None = None) -> None:
        self.rule = rule
        self._ledger = Ledger() if ledger is None else ledger
        self.windowed = bool(rule.over_us)
        self.lasting = rule.clear is not None
        self._counters = counters
        self._getters = self.getters(rule.by)
        instants = Instants(rule.name, rule.schedule) if rule.schedule else None
        self.means = Means(self._again, self.count, instants)
        self.feed: Feed | None = None
        if rule.sequence is not None:
            self.feed = Steps(self, rule.sequence)
        elif rule.absent is not None:
            self.feed = Signs(self, rule.absent)
        self.gapped = rule.absent is not None or instants is not None
        plain = rule.when is None and not rule.over_us
        self.alone = plain and instants is not None and all(on.type == "clock" for on in rule.on)
        wanted = self.feed.selectors if self.feed else rule.on
        self.selectors = () if self.alone or rule.correlate is not None else wanted
        self.across = second_stage(rule.on)
        self._needs_now = asks_time(rule)
        self._occurrences = bool(rule.measures) and all(map(_of_occurrences, rule.measures))
        self._counts = any(one.fn == "count" and not one.latest for one in rule.measures)
        self.listens = rule.on_nodata != "keep"
        tracks = self.listens or any(measure.fn in STEPS for measure in rule.measures)
        mortal = any(selector.type in MORTAL for selector in rule.on)
        self.follows = not self.windowed or (tracks and mortal)
        self.remembers = self.listens or bool(rule.reevaluate_us)
        self._asked = _fields(rule)

    def condition(self) -> Condition:
        """Return the empty condition of a new key."""
        return condition_of(self.rule, self.means)

    def rebound(self, condition: Condition, mark: int) -> Condition:
        """Return the condition of a key as it goes on under this rule, edited, from `mark` on."""
        return rebound(condition, self.rule, self.means, mark)

    def getters(self, by: Sequence[str]) -> Getters:
        """Return what takes the parts of a group key off a signal, for `key`."""
        defaults = self.rule.by_default
        places = zip(by, self.rule.by, strict=True)
        return [(_path(name), defaults.get(name, defaults.get(part))) for name, part in places]

    def key(self, sight: Sight, getters: Getters | None = None) -> tuple[str, ...] | None:
        """Return the group key; None where a part is missing, which is counted."""
        seen = sight.open()
        found = []
        for path, default in self._getters if getters is None else getters:
            value: Any = seen
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
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

    def asks(self, program: Program | None, sight: Sight) -> bool:
        """Whether `program` is true of the signal; none at all is."""
        return program is None or bool(self._ask(program, self._bind(sight)))

    def clears(self, sight: Sight) -> bool:
        """Whether the rule's `clear` is true of the signal; false for a rule without one."""
        return self.rule.clear is not None and self.asks(self.rule.clear, sight)

    def level(self, sight: Sight) -> Sample | None:
        """Return what the signal says to a rule without a window; None: it decides nothing."""
        met = self.passes(sight)
        bindings = self._bind(sight) | {"m": {}}
        if met and self.rule.having is not None:
            met = self._ask(self.rule.having, bindings)
        cleared: bool | None = True
        if met is False and self.rule.clear is not None:
            cleared = self._ask(self.rule.clear, bindings)
        failed = met is None or cleared is None
        if (failed and not self.remembers) or (met and self.refuses(sight)):
            return None
        sample = sample_of(sight, sight.series if sight.level else "")
        sample.met, sample.cleared = None if failed else met, bool(cleared)
        if self.rule.reevaluate_us and sight.level:
            sample.signal = self._kept(sight.signal)
        return sample

    def window(self, sight: Sight) -> Sample | None:
        """Return what the signal adds to a window; None where it does not enter it."""
        enters = not (sight.synced and self._occurrences) and self.passes(sight)
        enters = bool(enters) and not self.refuses(sight)
        if not enters and not self.listens:
            return None
        sample = sample_of(sight, sight.series)
        sample.counted = enters
        if not enters:
            return sample
        bindings = self._bind(sight)
        sample.growing = self._counts and sight.signal.type == "k8s.event"
        sample.raws = tuple(self._raw(one, sight, bindings) for one in self.rule.measures)
        return sample

    def truth(self, condition: Condition, at: int, *, firing: bool) -> bool | None:
        """Whether the condition is true at `at`; None where that can not be said (an error).

        Silence decides where the rule says so (`on_nodata`). A condition without anything to
        be true of is false, unless it lasts while the key fires. While
        it fires, the rule's `clear` must be true to end it; a `having` that is true again wins.
        """
        rule = self.rule
        if self.listens and isinstance(condition, Nodata) and condition.quiet:
            return condition.fires
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

    def _again(self, signal: Signal, at: int) -> Sample | None:
        """Return what a level says at a later instant; None where it says nothing."""
        sight = Sight(signal, at)
        sight.open()
        sight.bindings["now"] = from_us(at)
        return self.level(sight)

    def _kept(self, signal: Signal) -> Signal:
        """Return what must be remembered of a level so that it can be asked again."""
        if self._asked is None:
            return signal
        data = {name: value for name, value in signal.data.items() if name in self._asked}
        return msgspec.structs.replace(signal, data=data)

    def _bind(self, sight: Sight) -> dict[str, Any]:
        sight.open()
        sight.bindings["params"] = self.rule.params
        return sight.bindings

    def _ask(self, program: Program, bindings: Mapping[str, Any]) -> bool | None:
        """Return a verdict: a missing field is false, any other error is None; both count."""
        try:
            met = program.function(bindings) is True
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
        if sight.synced and _of_occurrences(measure):
            return None
        if measure.where is not None and not self._ask(measure.where, bindings):
            return None
        try:
            value = 1 if measure.of is None else measure.of.function(bindings)
            if measure.fn == "count":
                grows = sight.signal.type == "k8s.event" and not measure.latest
                taken = _event_count(sight.signal) if grows else 1
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


def _fields(rule: Rule) -> frozenset[str] | None:
    """Return the fields of `data` that say what a level means; None: all of them."""
    found = set(_KEPT)
    programs = (rule.when, rule.having, rule.clear)
    for path in (path for one in programs if one is not None for path in one.paths):
        if path in {("signal",), ("signal", "data")}:
            return None
        if path[0] in {"signal", "old"}:
            found.add("old" if path[0] == "old" else path[2] if path[1] == "data" else path[1])
    return frozenset(found)


def _of_occurrences(measure: Measure) -> bool:
    """Whether it measures what happened; a latest signal tells what is."""
    return measure.fn in OCCURRENCES and not measure.latest


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
