"""What a rule does once it fires: whom it yields to, what it launches, whom it tells."""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from engine.rules.draft import Draft, entries, items
from engine.rules.parameters import KindShape
from engine.rules.rule import Inhibitor, Notice
from engine.rules.shaping import Notes
from engine.rules.template_check import template_faults
from engine.rules.wording import unknown
from engine.rules.yaml import Node


@dataclass(frozen=True)
class Known:
    """What rules may refer to; None means that it is not known and not checked."""

    kinds: Mapping[str, KindShape] | None = None
    sinks: AbstractSet[str] | None = None


def inhibitor(node: Node) -> Inhibitor:
    """Return one entry of `inhibited_by`."""
    fields = entries(node)
    equal = tuple(fields["equal"].plain()) if "equal" in fields else ()
    return Inhibitor(str(fields["rule"].value) if "rule" in fields else "", equal)


def notice(node: Node, known: Known, groups: Collection[str], notes: Notes) -> Notice:
    """Return one entry of `notify`; its sink must be known, and in `groups` what it groups by."""
    fields = entries(node)
    sink = str(fields["sink"].value) if "sink" in fields else ""
    if sink and known.sinks is not None and sink not in known.sinks:
        notes.error(fields["sink"], unknown("sink", sink, known.sinks), "sink")
    for name in items(fields.get("group_by")):
        if str(name.value) not in groups:
            notes.error(name, unknown("key or label", str(name.value), groups), "group-by")
    lists = {name: tuple(fields[name].plain()) for name in ("on", "group_by") if name in fields}
    return Notice(sink, **lists)


def check_templates(
    rule: Draft, measures: frozenset[str], by: frozenset[str], params: frozenset[str]
) -> None:
    """Check every template of the rule: syntax, and that its variables exist."""
    members = {"m": measures, "params": params, "key": by}
    for node in _texts(rule):
        for fault in template_faults(str(node.value), members=members):
            rule.notes.error(node, fault.message, fault.code, offset=fault.offset)


def _texts(rule: Draft) -> Iterator[Node]:
    waiting = [*entries(rule.fields.get("annotations")).values()]
    mission = entries(rule.fields.get("mission"))
    waiting += [*entries(mission.get("params")).values()]
    waiting += [mission["dedup_key"]] if "dedup_key" in mission else []
    while waiting:
        node = waiting.pop()
        waiting += [*entries(node).values(), *items(node)]
        if isinstance(node.value, str):
            yield node
