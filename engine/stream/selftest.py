"""Self-tests: runs the `tests` of rules through the evaluator, on a virtual clock.

A test gives `signals` (see engine.stream.notation) and what it expects of its rule. Each
expectation names an instant `at`, at which stream time stands when it is looked at (timers of
that instant have run), and

- `key`: a part of the group key, all keys that have it are looked at; none: every key,
- `state`: pending, firing, resolved, or suppressed is what one of them is; inactive: none of
  them is pending or firing,
- `missions`: how many missions were launched for them so far,
- `value`: measures (or `value`) that such a key has.

`expect: []` says that nothing fires, up to `until` or the last signal.

Time goes on evenly between the signals, as it does where watchers and the clock tell of it. A
rule of the second stage can be tested with signals of clusters as well: the rules whose
conditions it looks at are evaluated along. A schedule begins with the first signal of the clock,
or with the test where it gives none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, repeat
from typing import Any

from engine.model.firing import Launch, State, Step, Transition
from engine.model.instant import format_duration, to_us
from engine.model.signal import Signal
from engine.rules.cel import Program
from engine.rules.rule import Rule, RuleSet
from engine.stream.evaluator import Evaluator
from engine.stream.explain import Witness, reader_of, why
from engine.stream.notation import EPOCH_US, instants, offset, signals
from engine.stream.reasons import explain as sentence

_OPEN = frozenset({State.PENDING, State.FIRING})
_RULE = ("signal", "data", "rule")


@dataclass(frozen=True)
class Outcome:
    """One expectation beside what was: both as a text, and whether they agree.

    `why` are the gates of the keys concerned at that instant, where the two differ.
    """

    at: str
    expected: str
    actual: str
    passed: bool
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One test of one rule; `error` says why it could not be run."""

    rule: str
    name: str
    path: str = ""
    line: int = 0
    outcomes: tuple[Outcome, ...] = ()
    history: tuple[str, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.error and all(one.passed for one in self.outcomes)


@dataclass
class _Seen:
    """What the rule under test has done so far, and the signals that it saw."""

    rule: str
    witness: Witness
    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)

    def take(self, step: Step) -> None:
        self.witness.hear(step)
        self.transitions += [one for one in step.transitions if one.rule == self.rule]
        self.launches += [one for one in step.launches if one.rule == self.rule]

    def latest(self, part: Mapping[str, Any]) -> list[Transition]:
        """Return the last transition of each key that has `part`."""
        last: dict[tuple[tuple[str, str], ...], Transition] = {}
        for told in self.transitions:
            if _has(told.key, part):
                last[tuple(sorted(told.key.items()))] = told
        return list(last.values())


def run(rules: RuleSet, only: str = "") -> list[Result]:
    """Run the tests of all rules, disabled ones included; see the module.

    `only`: those whose `rule: name` holds this text, in upper or lower case.
    """
    return [
        _run(rule, test, place, rules)
        for rule in rules.rules
        for test, place in zip(rule.tests, _places(rule), strict=False)
        if only.casefold() in f"{rule.name}: {test.get('name', '')}".casefold()
    ]


def _places(rule: Rule) -> Iterator[tuple[str, int]]:
    """Yield file and line of each test, for ever those of the rule where none are known."""
    known = zip(rule.tests_paths, rule.tests_lines, strict=True)
    return chain(known, repeat((rule.path, rule.line)))


def _run(rule: Rule, test: Mapping[str, Any], place: tuple[str, int], rules: RuleSet) -> Result:
    name = str(test.get("name", ""))
    try:
        outcomes, history = _outcomes(rule, test, rules)
    except ValueError as error:
        return Result(rule.name, name, *place, error=str(error))
    return Result(rule.name, name, *place, tuple(outcomes), tuple(history))


def _outcomes(
    rule: Rule, test: Mapping[str, Any], rules: RuleSet
) -> tuple[list[Outcome], list[str]]:
    waiting = signals(list(test.get("signals") or ()))
    chained = any(one.cluster for one in waiting)
    evaluator = Evaluator(_needed(rule, rules, chained=chained))
    seen = _Seen(rule.name, Witness(reader_of(evaluator, rule.name, ())))
    paced = any(one.type == "clock" for one in waiting)
    if rule.schedule is not None and _sees(rule, "clock") and not paced:
        evaluator.step(signals({"at": "0s", "type": "clock"}))
    looks = [(instants(str(one["at"]))[0], one) for one in test.get("expect") or ()]
    looks.sort(key=lambda look: look[0])
    outcomes = []
    for at, expected in looks:
        waiting = _feed(evaluator, seen, waiting, at)
        outcomes.append(_explained(_compare(at, expected, seen), evaluator, seen, expected, at))
    end = max([EPOCH_US, *(at for at, _ in looks), *(to_us(one.time) for one in waiting)])
    if "until" in test:
        end = max(end, instants(str(test["until"]))[0])
    _feed(evaluator, seen, waiting, end)
    if not looks or test.get("silent") is True:
        outcomes.append(_silent(end, seen))
    return outcomes, _history(seen, evaluator)


def _feed(evaluator: Evaluator, seen: _Seen, waiting: list[Signal], to: int) -> list[Signal]:
    """Fold what lies up to `to`, and let time reach it; return the rest."""
    now = [one for one in waiting if to_us(one.time) <= to]
    for at, together in groupby(now, key=lambda one: to_us(one.time)):
        seen.take(evaluator.advance(at - 1))
        sent = list(together)
        seen.witness.see(sent)
        seen.take(evaluator.step(sent))
    seen.take(evaluator.advance(to))
    return waiting[len(now) :]


def _needed(rule: Rule, rules: RuleSet, *, chained: bool) -> RuleSet:
    """Return the rule and those that it depends on, however deep, all enabled.

    These are the ones that can hold it back, those that it correlates, and where `chained` those
    whose conditions it sees.
    """
    by_name = {one.name: one for one in rules.rules}
    wanted, todo = {rule.name}, [rule]
    while todo:
        one = todo.pop()
        names = [inhibitor.rule for inhibitor in one.inhibited_by]
        names += _conditions(one, rules) if chained else []
        names += [*one.correlate.members, *one.correlate.none] if one.correlate else []
        for name in names:
            if name in by_name and name not in wanted:
                wanted.add(name)
                todo.append(by_name[name])
    chosen = [one for one in rules.rules if one.name in wanted]
    return RuleSet(tuple(_enabled(one) for one in chosen), rules.digest)


def _sees(rule: Rule, kind: str) -> bool:
    return any(selector.type == kind for selector in rule.on)


def _conditions(rule: Rule, rules: RuleSet) -> list[str]:
    """Return the rules whose conditions `rule` may see, as far as it names them."""
    if not _sees(rule, "condition"):
        return []
    steps = rule.sequence.steps if rule.sequence else ()
    asked = [rule.when, *(step.when for step in steps)]
    programs = [one for one in asked if one is not None]
    found = (one.name for one in rules.rules)
    return [name for name in found if not programs or any(_names(one, name) for one in programs)]


def _names(program: Program, name: str) -> bool:
    """Whether `program` may be true of a condition of the rule `name`."""
    signal = {"signal": {"data": {"rule": name}}}
    return all(guard.holds(signal) for guard in program.guards if guard.path == _RULE)


def _enabled(rule: Rule) -> Rule:
    return rule if rule.enabled else replace(rule, enabled=True)


def _compare(at: int, expected: Mapping[str, Any], seen: _Seen) -> Outcome:
    part = expected.get("key") or {}
    state = str(expected.get("state", ""))
    found = seen.latest(part)
    launched = sum(_has(one.key, part) for one in seen.launches)
    missions = expected.get("missions")
    value = expected.get("value") or {}
    alike = [one for one in found if one.state == state and _has(one.value, value)]
    quiet = not any(one.state in _OPEN for one in found)
    right = quiet if state == State.INACTIVE else bool(alike)
    shown = "".join(f" {{{_pairs(one)}}}" for one in (part, value) if one)
    actual = ", ".join(_shown(one) for one in found) or "inactive"
    return Outcome(
        at=format_duration(offset(at)),
        expected=f"{state}{shown}" + (f", {_missions(missions)}" if missions is not None else ""),
        actual=actual + (f", {_missions(launched)}" if missions is not None else ""),
        passed=right and missions in {None, launched},
    )


def _explained(
    outcome: Outcome, evaluator: Evaluator, seen: _Seen, expected: Mapping[str, Any], at: int
) -> Outcome:
    """Return `outcome` with the gates at `at`, where it is not as expected."""
    if outcome.passed:
        return outcome
    part = {str(name): str(value) for name, value in (expected.get("key") or {}).items()}
    return replace(outcome, why=tuple(why(evaluator, seen.rule, part, seen.witness, at)))


def _silent(end: int, seen: _Seen) -> Outcome:
    fired = [one for one in seen.transitions if one.state is State.FIRING]
    actual = ", ".join(_shown(one) for one in fired) or "nothing fired"
    return Outcome(format_duration(offset(end)), "nothing fires", actual, not fired)


def _shown(told: Transition) -> str:
    value = f" at {_pairs(told.value)}" if told.value else ""
    return f"{told.state} {{{_pairs(told.key)}}}{value}"


def _history(seen: _Seen, evaluator: Evaluator) -> list[str]:
    told = [
        f"{format_duration(offset(one.at))} {_shown(one)}: {sentence(one.reason)}"
        for one in seen.transitions
    ]
    started = [
        f"{format_duration(offset(one.at))} mission {one.kind} {{{_pairs(one.key)}}}"
        for one in seen.launches
    ]
    counted = [f"counted: {name} {count}" for name, count in evaluator.counters().items()]
    return [*told, *started, *counted] or ["no signal made the condition true"]


def _has(whole: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(name in whole and _same(whole[name], one) for name, one in part.items())


def _same(found: Any, wanted: Any) -> bool:
    return bool(found == wanted) or str(found) == str(wanted)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _missions(count: int) -> str:
    return f"{count} mission{'' if count == 1 else 's'}"
