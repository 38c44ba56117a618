"""Which rule holds back which: by names that exist, without circles, by what both have."""

from collections.abc import Mapping, Sequence

from engine.rules.draft import entries, items
from engine.rules.entry import Entry
from engine.rules.rule import Rule
from engine.rules.selectors import second_stage
from engine.rules.wording import guess, quoted, unknown
from engine.rules.yaml import Node


def check_inhibitors(rules: Sequence[Entry]) -> None:
    """Write to the notes of each rule what is wrong with its inhibitors."""
    known = {entry.rule.name: entry.rule for entry in rules if entry.rule.name}
    graph = {name: {i.rule for i in rule.inhibited_by} for name, rule in known.items()}
    for entry in rules:
        for node in items(entry.draft.fields.get("inhibited_by")):
            _inhibitor(entry, node, known, graph)


def _inhibitor(
    entry: Entry, node: Node, rules: Mapping[str, Rule], graph: Mapping[str, set[str]]
) -> None:
    notes, fields = entry.draft.notes, entries(node)
    if "rule" not in fields:
        return
    place, name = fields["rule"], str(fields["rule"].value)
    if name not in rules:
        near = guess(name, rules)
        message = f"no rule {quoted(name)}: nothing holds this one back{near}"
        notes.warn(place, message, "inhibitor")
        return
    if idle := _idle(entry.rule, rules[name]):
        notes.warn(place, idle, "inhibitor")
    if cycle := circle(entry.rule.name, name, graph):
        message = f"rules inhibit each other in a circle: {' <- '.join(cycle)}"
        notes.error(place, message, "inhibition-cycle")
    for equal in items(fields.get("equal")):
        for rule in (entry.rule, rules[name]):
            if str(equal.value) not in _comparable(rule):
                word, known = str(equal.value), _comparable(rule)
                message = unknown("key or label", word, known, of=rule.name)
                notes.error(equal, message, "inhibition-equal")


def _idle(rule: Rule, inhibitor: Rule) -> str:
    """Return why `inhibitor` never holds `rule` back, empty if it may."""
    name = inhibitor.name
    if not inhibitor.enabled:
        return f"rule {name} is not enabled: nothing holds this one back"
    if second_stage(inhibitor.on) is not second_stage(rule.on):
        return (
            f"rule {name} does not hold this one back: one is of a cluster, the other of the "
            "second stage; name a rule of the same stage"
        )
    return ""


def _comparable(rule: Rule) -> list[str]:
    return sorted({*rule.by, *rule.labels, "node"})


def circle(start: str, first: str, graph: Mapping[str, set[str]]) -> list[str]:
    """Return the shortest way from `start` over `first` back to `start`, empty if there is none."""
    if first == start:
        return [start, start]
    came: dict[str, str] = {first: start}
    waiting = [first]
    while waiting and start not in came:
        name = waiting.pop(0)
        for following in sorted(graph.get(name, ())):
            if following not in came:
                came[following] = name
                waiting.append(following)
    if start not in came:
        return []
    way = [came[start]]
    while way[-1] != first:
        way.append(came[way[-1]])
    return [start, *reversed(way), start]
