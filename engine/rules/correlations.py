"""The core `correlate`: open firings of other rules that come together."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from engine.model.instant import parse_duration
from engine.rules.draft import Draft, entries, items
from engine.rules.entry import Entry
from engine.rules.inhibition import circle
from engine.rules.rule import Correlate, Rule
from engine.rules.selectors import second_stage
from engine.rules.wording import quoted, unknown
from engine.rules.yaml import Node

_LISTS: Final = ("all", "any", "none")
_LACKING: Final = (
    "refused, and left out: 'correlate' needs durable_rules, which is not installed; "
    "pip install 'dogwatch[correlate]' (it is compiled, so a C compiler must be there)"
)


def can_correlate() -> bool:
    """Whether the extra `correlate` is installed."""
    return find_spec("durable") is not None


def correlate(rule: Draft) -> Correlate | None:
    """Return what the rule correlates; what makes no sense by itself is told."""
    node = rule.fields.get("correlate")
    if node is None:
        return None
    fields = entries(node)
    lists = {name: _texts(fields.get(name)) for name in _LISTS}
    if not node.keys.keys() & {"all", "any"}:
        message = "nothing to correlate: name rules in 'all', in 'any', or in both"
        rule.notes.error(node, message, "correlate")
    _check_twice(rule, fields)
    _check_alone(rule, node, lists)
    within = parse_duration(str(fields["within"].value)) if "within" in fields else 0
    ordered = "ordered" in fields and fields["ordered"].value is True
    return Correlate(_texts(fields.get("on")), **lists, within_us=within, ordered=ordered)


def refuse(entry: Entry) -> bool:
    """Tell that the rule of `entry` is left out, if it correlates; return whether it is."""
    if entry.rule.correlate is None:
        return False
    node = entry.draft.node.keys["correlate"]
    entry.draft.notes.warn(node, _LACKING, "extra")
    return True


def check_correlations(rules: Sequence[Entry]) -> None:
    """Write to the notes of each rule what is wrong with the rules that it correlates."""
    known = {entry.rule.name: entry.rule for entry in rules if entry.rule.name}
    graph = {name: _named(rule) for name, rule in known.items()}
    for entry in rules:
        for node in _members(entry.draft):
            _member(entry, node, known, graph)


def _member(
    entry: Entry, node: Node, rules: Mapping[str, Rule], graph: Mapping[str, set[str]]
) -> None:
    notes, name = entry.draft.notes, str(node.value)
    if name not in rules:
        others = [one for one in rules if one != entry.rule.name]
        notes.error(node, unknown("rule", name, others), "correlate-rule")
        return
    if not rules[name].enabled:
        message = f"rule {name} is not enabled: it never has an open firing"
        notes.warn(node, message, "correlate-rule")
    if way := circle(entry.rule.name, name, graph):
        message = f"rules correlate each other in a circle: {' <- '.join(way)}"
        notes.error(node, message, "correlate-circle")
        return
    labels = sorted(labels_of(rules[name]))
    for label in items(entries(entry.draft.fields["correlate"]).get("on")):
        if str(label.value) not in labels:
            message = unknown("key or label", str(label.value), labels, of=name)
            notes.error(label, f"{message}; its firings would never join", "correlate-on")


def labels_of(rule: Rule) -> set[str]:
    """Return the labels in which firings of `rule` can agree with others."""
    found = {"node", *rule.by, *map(short_name, rule.by), *rule.labels}
    return found if second_stage(rule.on) else found | {"cluster"}


def short_name(path: str) -> str:
    """Return the last part of a path of the data, or a label without its mark: `app`."""
    for mark in ("signal.data.", "signal.", "labels."):
        if path.startswith(mark):
            return path.removeprefix(mark)
    return path


def _named(rule: Rule) -> set[str]:
    return {*rule.correlate.members, *rule.correlate.none} if rule.correlate else set()


def _members(draft: Draft) -> Iterator[Node]:
    fields = entries(draft.fields.get("correlate"))
    for name in _LISTS:
        yield from items(fields.get(name))


def _texts(node: Node | None) -> tuple[str, ...]:
    return tuple(str(one.value) for one in items(node))


def _check_twice(rule: Draft, fields: Mapping[str, Node]) -> None:
    for names in (_LISTS, ("on",)):
        seen: set[str] = set()
        for node in (one for name in names for one in items(fields.get(name))):
            if str(node.value) in seen:
                message = f"{quoted(str(node.value))} is named twice"
                rule.notes.error(node, message, "duplicate")
            seen.add(str(node.value))


def _check_alone(rule: Draft, node: Node, lists: Mapping[str, tuple[str, ...]]) -> None:
    """Tell of what needs two rules and has one."""
    several = len(lists["all"]) + bool(lists["any"]) > 1
    for name in ("within", "ordered"):
        if name in node.keys and not several:
            message = f"'{name}' needs two firings: name a second rule in 'all' or in 'any'"
            rule.notes.error(node.keys[name], message, "correlate")
    if len(lists["all"]) == 1 and not lists["any"] and not lists["none"]:
        message = "one rule alone comes together with nothing; name another one"
        rule.notes.warn(node, message, "correlate")
