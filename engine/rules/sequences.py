"""The core `sequence`: steps of one key, one after the other."""

from collections.abc import Iterable
from collections.abc import Sequence as Listed
from dataclasses import replace

from engine.model.instant import parse_duration
from engine.rules.draft import Draft, entries, items
from engine.rules.expressions import Names, compiled
from engine.rules.grouping import check_present
from engine.rules.rule import Selector, Sequence, SequenceStep
from engine.rules.selectors import second_stage, selectors
from engine.rules.shaping import Notes
from engine.rules.wording import quoted
from engine.rules.yaml import Node


def steps_of(rule: Draft, on: tuple[Selector, ...]) -> tuple[SequenceStep, ...]:
    """Return the steps of the sequence without their conditions, as they share the stream.

    `on` are the selectors of the rule: those of a step without its own.
    """
    found = []
    for node in _nodes(rule):
        fields, name = entries(node), _name(node)
        own = selectors(fields.get("on"), rule.notes)
        if "on" not in node.keys and not rule.wrote("on"):
            message = f"{_title(node)} has no 'on', and neither has the rule"
            rule.notes.error(node, message, "missing")
        negated = "not" in fields and fields["not"].value is True
        by = tuple(fields["by"].plain()) if "by" in fields else ()
        found.append(SequenceStep(name, own or on, negated=negated, by=by))
    _check_stages(rule, found)
    return tuple(found)


def sequence(rule: Draft, steps: tuple[SequenceStep, ...], names: Names) -> Sequence | None:
    """Return the sequence of the rule, its steps compiled; what makes no sense is told."""
    node = rule.fields.get("sequence")
    if node is None:
        return None
    fields, nodes = entries(node), _nodes(rule)
    ordered = fields["ordered"].value is True if "ordered" in fields else True
    _check_names(nodes, rule.notes)
    _check_negated(nodes, rule.notes, ordered=ordered)
    _check_equal(nodes, steps, rule.notes)
    whole = tuple(
        replace(step, when=compiled(entries(one).get("when"), names.of_step(step.on), rule.notes))
        for one, step in zip(nodes, steps, strict=True)
    )
    within = parse_duration(str(fields["within"].value)) if "within" in fields else 0
    overlap = "overlap" in fields and fields["overlap"].value is True
    return Sequence(whole, within, ordered=ordered, overlap=overlap)


def check_step_keys(rule: Draft, steps: Iterable[SequenceStep], by: tuple[str, ...]) -> None:
    """Check that each step with its own `by` has every part of the rule's key in its signals."""
    for node, step in zip(_nodes(rule), steps, strict=True):
        place = entries(node).get("by")
        if place is None:
            continue
        for path in items(place):
            check_present(path, str(path.value), step.on, rule.notes)
        own = place.plain()
        if len(own) != len(by):
            message = (
                f"{_title(node)} has {len(own)} in 'by', but the group key has {len(by)} "
                f"({', '.join(by)}); give one path for each, in that order"
            )
            rule.notes.error(place, message, "group-key")
        elif [one == "cluster" for one in own] != [one == "cluster" for one in by]:
            message = f"{_title(node)}: cluster must stand where 'by' of the rule has it"
            rule.notes.error(place, message, "by-cluster")


def _nodes(rule: Draft) -> tuple[Node, ...]:
    return items(entries(rule.fields.get("sequence")).get("steps"))


def _name(node: Node) -> str:
    fields = entries(node)
    return str(fields["id"].value) if "id" in fields else ""


def _title(node: Node) -> str:
    return f"step {_name(node)}" if _name(node) else "the step without an id"


def _check_stages(rule: Draft, steps: Listed[SequenceStep]) -> None:
    stages = {second_stage(step.on) for step in steps if step.on}
    if len(stages) > 1:
        message = "the steps mix signals of clusters and of the second stage; make two rules"
        rule.notes.error(rule.node.keys["sequence"], message, "stages")


def _check_names(nodes: Listed[Node], notes: Notes) -> None:
    seen: set[str] = set()
    for node in nodes:
        name = _name(node)
        if name and name in seen:
            notes.error(entries(node)["id"], f"step {quoted(name)} is there already", "duplicate")
        seen.add(name)


def _check_negated(nodes: Listed[Node], notes: Notes, *, ordered: bool) -> None:
    for place, node in enumerate(nodes):
        negation = entries(node).get("not")
        if negation is None or negation.value is not True:
            continue
        if not ordered:
            message = "'not' needs an order: without one no step is the last; leave out ordered"
            notes.error(node.keys["not"], message, "sequence")
        elif place != len(nodes) - 1:
            message = "'not' is for the last step only: it fires when that did not come in time"
            notes.error(node.keys["not"], message, "sequence")


def _check_equal(nodes: Listed[Node], steps: Listed[SequenceStep], notes: Notes) -> None:
    """Warn of a step that takes just what an earlier one takes: that is counting."""
    seen: dict[str, str] = {}
    for node, step in zip(nodes, steps, strict=True):
        when = entries(node)["when"].value if "when" in entries(node) else ""
        what = repr((step.on, when, step.by))
        if what in seen and step.id not in {"", seen[what]}:
            message = (
                f"step {step.id} takes the same signals as step {seen[what]}: "
                "to count them use 'over' and 'measure'"
            )
            notes.warn(node, message, "equal-steps")
        seen.setdefault(what, step.id)
