"""What is legal and still a mistake, and what only the whole set of rules can tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.model.instant import MICROS, format_duration
from engine.rules.draft import Draft, entries, items
from engine.rules.overlap import overlap
from engine.rules.rule import Rule
from engine.rules.wording import guess, quoted, unknown
from engine.rules.yaml import Node

SAMPLING_US: Final = 5 * MICROS
"""How often stream time moves at least: the interval of heartbeats."""
_UNBOUNDED: Final = frozenset({"uid", "resourceVersion", "message", "time", "count", "value"})


@dataclass(frozen=True)
class Entry:
    """A rule as it was written and as it was compiled."""

    draft: Draft
    rule: Rule


def lint(entries_: Sequence[Entry]) -> None:
    """Write to the notes of each rule what is wrong with it alone and among the others."""
    for entry in entries_:
        _noise(entry)
        _timing(entry)
        _care(entry)
        _clear(entry)
    _duplicates(entries_)
    _inhibitors(entries_)


def _at(draft: Draft, name: str) -> Node:
    """Return the place of the field `name`: in the rule, in the defaults, else of the rule."""
    return draft.node.keys.get(name) or draft.fields.get(name) or draft.node


def _noise(entry: Entry) -> None:
    notes = entry.draft.notes
    for node in items(entry.draft.fields.get("by")):
        place = entries(node).get("path", node)
        if str(place.value).rpartition(".")[2] in _UNBOUNDED:
            message = f"group key {quoted(str(place.value))} has no bound: every value is a key"
            notes.warn(place, message, "cardinality")
    if entry.rule.mission and not (entry.rule.cooldown_us or entry.draft.faulty("cooldown")):
        place = _at(entry.draft, "mission")
        notes.warn(place, "mission without a cooldown: it runs at every episode", "no-cooldown")


def _timing(entry: Entry) -> None:
    for name, length in (("for", entry.rule.for_us), ("over", entry.rule.over_us)):
        if 0 < length < SAMPLING_US:
            shown, least = format_duration(length), format_duration(SAMPLING_US)
            message = f"'{name}' of {shown} is shorter than the sampling interval of {least}"
            entry.draft.notes.warn(_at(entry.draft, name), message, "short")


def _care(entry: Entry) -> None:
    draft, rule = entry.draft, entry.rule
    if "owner" not in rule.labels:
        message = "no owner: give metadata.owner, or the label owner"
        draft.notes.warn(draft.node, message, "no-owner")
    if "runbook_url" not in rule.annotations:
        message = "no runbook: give the annotation runbook_url"
        draft.notes.warn(draft.node, message, "no-runbook")
    fires = {_fires(test) for test in rule.tests}
    if None in fires:
        return
    for wanted, what in ((True, "fires"), (False, "stays silent")):
        if wanted not in fires:
            message = f"no test in which it {what}"
            draft.notes.warn(_at(draft, "tests"), message, "no-test")


def _fires(test: Mapping[str, Any]) -> bool | None:
    """Tell whether the test expects a firing; None where that could not be read."""
    states = [expectation.get("state") for expectation in test.get("expect", [{}])]
    return None if None in states else "firing" in states


def _clear(entry: Entry) -> None:
    rule = entry.rule
    if rule.having is None or rule.clear is None:
        return
    names = {measure.name: measure.fn for measure in rule.measures}
    if witness := overlap(rule.having, rule.clear, names, rule.params):
        shown = ", ".join(f"m.{name} is {value:g}" for name, value in witness.items())
        message = f"'clear' is true while 'having' is too, for example when {shown}"
        entry.draft.notes.warn(_at(entry.draft, "clear"), message, "clear-overlap")


def _duplicates(entries_: Iterable[Entry]) -> None:
    first: dict[str, Draft] = {}
    for entry in entries_:
        name, draft = entry.rule.name, entry.draft
        if not name:
            continue
        if name in first:
            other = first[name]
            where = f"{other.notes.source.path}:{other.node.line}"
            draft.notes.error(draft.fields["name"], f"the name is taken, {where}", "duplicate-name")
        first.setdefault(name, draft)


def _inhibitors(entries_: Sequence[Entry]) -> None:
    rules = {entry.rule.name: entry.rule for entry in entries_ if entry.rule.name}
    graph = {name: {i.rule for i in rule.inhibited_by} for name, rule in rules.items()}
    for entry in entries_:
        for node in items(entry.draft.fields.get("inhibited_by")):
            _inhibitor(entry, node, rules, graph)


def _inhibitor(
    entry: Entry, node: Node, rules: Mapping[str, Rule], graph: Mapping[str, set[str]]
) -> None:
    notes, fields = entry.draft.notes, entries(node)
    if "rule" not in fields:
        return
    name = str(fields["rule"].value)
    if name not in rules:
        near = guess(name, rules)
        message = f"no rule {quoted(name)}: nothing holds this one back{near}"
        notes.warn(fields["rule"], message, "inhibitor")
        return
    if cycle := _cycle(entry.rule.name, name, graph):
        message = f"rules inhibit each other in a circle: {' <- '.join(cycle)}"
        notes.error(fields["rule"], message, "inhibition-cycle")
    for equal in items(fields.get("equal")):
        for rule in (entry.rule, rules[name]):
            if str(equal.value) not in _comparable(rule):
                name, known = str(equal.value), _comparable(rule)
                message = unknown("key or label", name, known, of=rule.name)
                notes.error(equal, message, "inhibition-equal")


def _comparable(rule: Rule) -> list[str]:
    return sorted({*rule.by, *rule.labels, "node"})


def _cycle(start: str, first: str, graph: Mapping[str, set[str]]) -> list[str]:
    """Return the shortest way from `start` over `first` back to `start`, empty if there is none."""
    came: dict[str, str] = {first: start}
    waiting = [first]
    while waiting and start not in came:
        name = waiting.pop(0)
        for following in sorted(graph.get(name, ())):
            if following not in came:
                came[following] = name
                waiting.append(following)
    if first == start:
        return [start, start]
    if start not in came:
        return []
    way = [start]
    while (name := came[way[-1]]) != start:
        way.append(name)
    return [start, *reversed(way[1:]), start] if len(way) > 1 else [start, start]
