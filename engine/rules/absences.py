"""The core `absent`: known keys that are silent."""

from typing import Final

from engine.model.instant import parse_duration
from engine.rules.draft import Draft, entries
from engine.rules.rule import Absent, Selector
from engine.rules.selectors import second_stage

_NAMED: Final = frozenset({"workload", "node", "namespace"})
"""Parts of a key that name an object by themselves; a name does with its kind only."""
_INVENTORY: Final = frozenset({"cluster", "namespace", "kind", "name", "workload", "node"})


def absent(rule: Draft, by: tuple[str, ...], selectors: tuple[Selector, ...]) -> Absent | None:
    """Return what the rule expects to hear; a key that no inventory can know is told."""
    node = rule.fields.get("absent")
    if node is None:
        return None
    fields = entries(node)
    expect = str(fields["expect"].value) if "expect" in fields else ""
    if expect == "inventory" and (problem := _unlisted(by, selectors)):
        message = f"expect: inventory {problem}; or give expect: seen"
        rule.notes.error(fields["expect"], message, "absent-inventory")
    lengths = {
        name: parse_duration(str(fields[name].value))
        for name in ("within", "after")
        if name in fields
    }
    return Absent(expect, lengths.get("within", 0), lengths.get("after", 0))


def _unlisted(by: tuple[str, ...], selectors: tuple[Selector, ...]) -> str:
    """Return why the keys `by` are not those of objects; empty: they are."""
    if second_stage(selectors):
        return "is for signals of clusters"
    foreign = [path for path in by if path not in _INVENTORY]
    if foreign:
        return f"knows no {foreign[0]}: objects are known by {', '.join(sorted(_INVENTORY))}"
    kinds = {kind for selector in selectors for kind in selector.kinds}
    named = "name" in by and ("kind" in by or len(kinds) == 1)
    if "name" in by and not named:
        return "needs the kind beside the name: add kind to 'by', or one kind to 'on'"
    if not named and not _NAMED & set(by):
        return "needs a key that names an object: add workload, node, namespace, or name and kind"
    return ""
