"""A sound node of the grammar becomes a Rule; what the grammar can not say is checked here."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from engine.model.ids import digest
from engine.model.instant import parse_duration
from engine.rules.absences import absent
from engine.rules.actions import Known, check_templates, inhibitor, notice
from engine.rules.cores import WINDOW, check_condition, check_stream, core, drop_foreign
from engine.rules.correlations import correlate
from engine.rules.draft import Draft, entries, items
from engine.rules.expressions import Names, Programs, compiled
from engine.rules.grouping import group_key
from engine.rules.intervals import muted
from engine.rules.missions import mission
from engine.rules.rule import Interval, Rule, Selector, SequenceStep
from engine.rules.schedules import schedule
from engine.rules.selectors import second_stage, selectors
from engine.rules.sequences import check_step_keys, sequence, steps_of
from engine.rules.streams import stream_of
from engine.rules.test_data import check_test
from engine.rules.windows import Span, measures, span
from engine.rules.yaml import Node

_DURATIONS: Final = (
    "for",
    "keep_firing_for",
    "cooldown",
    "settle",
    "stale_after",
    "reevaluate",
    "debounce",
    "repeat",
)
_PLAIN: Final = ("enabled", "mode", "on_nodata", "ignore_self", "max_keys", "max_per_hour")
"""Fields that the rule takes as they were written."""
_HASHED: Final = ("on", "when", "measure", "having", "sequence", "absent")
_CLOCK: Final = (Selector("clock"),)
_CONDITION: Final = (Selector("condition"),)


@dataclass(frozen=True)
class Surroundings:
    """What all rules of one load share."""

    known: Known
    intervals: Mapping[str, Interval]
    programs: Programs = field(default_factory=dict)


def build(written: Draft, around: Surroundings) -> Rule:
    """Return the compiled rule; whatever is wrong with it goes to its notes.

    With an error noted the result is of use for lints only.
    """
    kind = core(written)
    rule = check_stream(drop_foreign(written, kind), kind)
    notes = rule.notes
    own = selectors(rule.fields.get("on"), notes)
    steps = steps_of(rule, own)
    on = _stream(own, steps, kind)
    rule = check_condition(rule, kind, on)
    fields = rule.fields
    correlated = correlate(rule)
    by, defaults = group_key(rule, _keyed(on, steps), second=second_stage(on))
    by = correlated.on if correlated else by
    check_step_keys(rule, steps, by)
    params = rule.plain("params", {})
    names = Names(stream_of(on), params, around.programs)
    window = span(fields.get("over"), notes)
    measured = measures(entries(fields.get("measure")), names.of_signal(), notes)
    functions = {measure.name: measure.fn for measure in measured}
    having = fields.get("having") if rule.wrote("measure") else None
    group_names = names.of_group(functions if any(map(rule.wrote, WINDOW)) else None)
    counted = {*functions, *(correlated.members if correlated else ())}
    check_templates(rule, frozenset(counted), frozenset(by), frozenset(params))
    lengths: dict[str, Any] = {
        f"{name}_us": _us(fields[name]) for name in _DURATIONS if name in fields
    }
    plain = {name: fields[name].plain() for name in _PLAIN if name in fields}
    labels = {**({"owner": rule.owner} if rule.owner else {}), **rule.plain("labels", {})}
    tests = items(fields.get("tests"))
    for test in tests:
        check_test(test, notes)
    return Rule(
        name=str(rule.plain("name", "")),
        on=on,
        by=by,
        by_default=defaults,
        hash=_hash(rule, by, defaults, window),
        group=rule.group,
        path=notes.source.path,
        line=rule.node.line,
        when=compiled(fields.get("when"), names.of_signal(), notes),
        over_us=window.over_us,
        window=window.window,
        gap_us=window.gap_us,
        measures=measured,
        having=compiled(having, group_names, notes),
        clear=compiled(fields.get("clear"), group_names, notes),
        absent=absent(rule, by, on),
        sequence=sequence(rule, steps, names),
        correlate=correlated,
        schedule=schedule(rule),
        mute_during=muted(rule, around.intervals),
        inhibited_by=tuple(inhibitor(node) for node in items(fields.get("inhibited_by"))),
        mission=mission(rule, around.known),
        notify=tuple(
            notice(node, around.known, {*by, *labels}, notes)
            for node in items(fields.get("notify"))
        ),
        labels=labels,
        annotations=rule.plain("annotations", {}),
        params=params,
        tests=tuple(test.plain() for test in tests),
        tests_lines=tuple(test.line for test in tests),
        tests_paths=(notes.source.path,) * len(tests),
        **plain,
        **lengths,
    )


def _us(node: Node) -> int:
    return parse_duration(str(node.value))


def _stream(
    own: tuple[Selector, ...], steps: tuple[SequenceStep, ...], kind: str
) -> tuple[Selector, ...]:
    """Return every selector by which a signal can reach the rule."""
    if kind == "sequence":
        found = [selector for step in steps for selector in step.on]
        return tuple(one for place, one in enumerate(found) if one not in found[:place])
    alone = {"schedule": _CLOCK, "correlate": _CONDITION}
    return own or alone.get(kind, ())


def _keyed(on: tuple[Selector, ...], steps: tuple[SequenceStep, ...]) -> tuple[Selector, ...]:
    """Return the selectors of the signals whose key is at the paths of `by`."""
    return tuple(one for step in steps if not step.by for one in step.on) if steps else on


def _hash(rule: Draft, by: tuple[str, ...], defaults: Mapping[str, str], window: Span) -> str:
    """Return the identity of the rule's state; values of `params` count where they are used."""
    parts = {name: rule.plain(name, None) for name in _HASHED}
    if "correlate" in rule.fields:  # the others keep the hash that they had before it was there
        parts["correlate"] = rule.plain("correlate", None)
    used = rule.plain("params", {}) if "params." in str(parts) else {}
    return digest([parts, list(by), dict(defaults), astuple(window), used])[:32]
