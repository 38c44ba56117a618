"""A sound node of the grammar becomes a Rule; what the grammar can not say is checked here."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.model.ids import digest
from engine.model.instant import parse_duration
from engine.model.schema import KINDS, matching_kinds
from engine.model.signal import LEVEL_TYPES
from engine.rules.actions import Known, check_templates, inhibitor, mission, notice
from engine.rules.cel.types import DYN, NUMBERS
from engine.rules.draft import Draft, entries, items
from engine.rules.expressions import Names, compiled
from engine.rules.grouping import group_key
from engine.rules.labels import parse_labels
from engine.rules.rule import Measure, Rule, Selector
from engine.rules.shaping import Notes
from engine.rules.streams import PREFILTERS, shape_of, signal_type
from engine.rules.wording import guess, quoted
from engine.rules.yaml import Node

_LISTS: Final = ("kinds", "reasons", "metrics", "clusters", "namespaces")
_NUMERIC: Final = frozenset({*NUMBERS, DYN})
_WINDOW: Final = ("over", "measure", "having")
_DURATIONS: Final = ("for", "keep_firing_for", "cooldown", "settle", "stale_after")


def build(rule: Draft, known: Known) -> Rule:
    """Return the compiled rule; whatever is wrong with it goes to its notes.

    With an error noted the result is of use for lints only.
    """
    fields, notes = rule.fields, rule.notes
    selectors = tuple(_selector(node, notes) for node in items(fields.get("on")))
    by, defaults = group_key(rule, selectors)
    params = rule.plain("params", {})
    names = Names(signal_type(selectors), params)
    measures = tuple(
        _measure(name, node, names, notes) for name, node in entries(fields.get("measure")).items()
    )
    _core(rule, selectors)
    functions = {measure.name: measure.fn for measure in measures}
    windowed = any(rule.wrote(name) for name in _WINDOW)
    group_names = names.of_group(functions if windowed else None)
    when = compiled(fields.get("when"), names.of_signal(), notes)
    having = compiled(fields.get("having") if rule.wrote("measure") else None, group_names, notes)
    clear = compiled(fields.get("clear"), group_names, notes)
    check_templates(rule, frozenset(functions), frozenset(by), frozenset(params))
    durations: Mapping[str, Any] = {
        f"{name}_us": _us(fields[name]) for name in _DURATIONS if name in fields
    }
    over_us = _window(fields.get("over"))
    return Rule(
        name=str(rule.plain("name", "")),
        on=selectors,
        by=by,
        by_default=defaults,
        hash=_hash(rule, by, defaults, over_us),
        group=rule.group,
        path=notes.source.path,
        line=rule.node.line,
        enabled=rule.plain("enabled", default=True),
        when=when,
        over_us=over_us,
        measures=measures,
        having=having,
        clear=clear,
        max_keys=rule.plain("max_keys", 10_000),
        inhibited_by=tuple(inhibitor(node) for node in items(fields.get("inhibited_by"))),
        mission=mission(rule, known),
        notify=tuple(notice(node, known, notes) for node in items(fields.get("notify"))),
        labels={**({"owner": rule.owner} if rule.owner else {}), **rule.plain("labels", {})},
        annotations=rule.plain("annotations", {}),
        params=params,
        tests=tuple(rule.plain("tests", [])),
        tests_lines=tuple(test.line for test in items(fields.get("tests"))),
        **durations,
    )


def _us(node: Node) -> int:
    return parse_duration(str(node.value))


def _window(node: Node | None) -> int:
    size = entries(node).get("size", node)
    return _us(size) if size is not None and isinstance(size.value, str) else 0


def _selector(node: Node, notes: Notes) -> Selector:
    fields = entries(node)
    lists = {name: tuple(fields[name].plain()) for name in _LISTS if name in fields}
    exclude = {name: tuple(part.plain()) for name, part in entries(fields.get("exclude")).items()}
    labels = str(fields["labels"].value) if "labels" in fields else ""
    type_ = str(fields["type"].value) if "type" in fields else ""
    selector = Selector(type_, labels=labels, exclude=exclude, **lists)
    if labels:
        try:
            parse_labels(labels)
        except ValueError as error:
            notes.error(fields["labels"], str(error), "labels")
    if type_ == "k8s.object":
        _check_kinds(items(fields.get("kinds")), notes)
    shape = shape_of(selector)
    for name, looked_at in PREFILTERS.items():
        if name in fields and not shape.open and looked_at not in shape.fields:
            message = f"'{name}' matches nothing: {type_} has no {looked_at}"
            notes.error(node.keys[name], message, "selector")
    return selector


def _check_kinds(kinds: Iterable[Node], notes: Notes) -> None:
    """Warn of a kind that nobody watches by default and that looks like one of those."""
    for node in kinds:
        kind = str(node.value)
        if not matching_kinds(kind) and (near := guess(kind, KINDS)):
            message = f"kind {quoted(kind)} is not watched by default{near}"
            notes.warn(node, message, "unwatched-kind")


def _measure(name: str, node: Node, names: Names, notes: Notes) -> Measure:
    fields = entries(node)
    fn = str(fields["fn"].value) if "fn" in fields else ""
    if fn and fn != "count" and "of" not in node.keys:
        notes.error(node, f"measure {name}: {fn} needs 'of', the value to aggregate", "measure")
    if fn == "count" and "of" in node.keys:
        message = f"measure {name}: count takes no 'of'; to count some signals use 'where'"
        notes.error(node.keys["of"], message, "measure")
    if "count_initial" in node.keys and fn != "increase":
        message = f"measure {name}: 'count_initial' is for increase only"
        notes.error(node.keys["count_initial"], message, "measure")
    scope = names.of_signal()
    of = compiled(fields.get("of"), scope, notes, boolean=False)
    where = compiled(fields.get("where"), scope, notes)
    if of is not None and fn in {"increase", "sum", "avg"} and of.type not in _NUMERIC:
        notes.error(fields["of"], f"measure {name}: {fn} needs a number, not {of.type}", "measure")
    initial = "count_initial" in fields and fields["count_initial"].value is True
    return Measure(name, fn, of, where, count_initial=initial)


def _core(rule: Draft, selectors: tuple[Selector, ...]) -> None:
    """Check that the rule has one trigger, and that the parts of a window come together."""
    notes, node = rule.notes, rule.node
    window = [name for name in _WINDOW if rule.wrote(name)]
    lacking = [name for name in _WINDOW if not rule.wrote(name)]
    if window and lacking:
        message = f"'{window[0]}' needs {' and '.join(repr(name) for name in lacking)} beside it"
        notes.error(node.keys.get(window[0], node), message, "window")
    levels = any(selector.type in LEVEL_TYPES for selector in selectors)
    if not window and not rule.wrote("when") and levels:
        message = "no condition: give 'when', or 'over', 'measure' and 'having'"
        notes.error(node, message, "condition")


def _hash(rule: Draft, by: tuple[str, ...], defaults: Mapping[str, str], over_us: int) -> str:
    """Return the identity of the rule's state; values of `params` count where they are used."""
    parts = {name: rule.plain(name, None) for name in ("on", "when", "measure", "having")}
    used = rule.plain("params", {}) if "params." in str(parts) else {}
    return digest([parts, list(by), dict(defaults), over_us, used])[:32]
