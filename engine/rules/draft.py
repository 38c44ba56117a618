"""A rule as it was written, with the defaults of its group laid under it."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.rules.shaping import Notes
from engine.rules.wording import quoted
from engine.rules.yaml import Node

_MERGED: Final = ("labels", "annotations", "params")


@dataclass(frozen=True)
class Draft:
    """A rule as it was read: its node, and the values of each field with the defaults in.

    `node.keys` names every field that was written, sound or not.
    """

    node: Node
    fields: Mapping[str, Node]
    owner: str
    group: str
    notes: Notes

    def wrote(self, name: str) -> bool:
        """Tell whether the rule has the field `name`, even if it was faulty."""
        return name in self.node.keys or name in self.fields

    def faulty(self, name: str) -> bool:
        """Tell whether the field `name` was written, but is not sound."""
        return name in self.node.keys and name not in self.fields

    def without(self, names: Container[str]) -> "Draft":
        """Return the rule without the values of the fields `names`."""
        kept = {name: node for name, node in self.fields.items() if name not in names}
        return replace(self, fields=kept)

    def plain(self, name: str, default: Any) -> Any:
        """Return the plain value of the field `name`."""
        return self.fields[name].plain() if name in self.fields else default


def draft(node: Node, defaults: Node | None, group: tuple[str, str], notes: Notes) -> Draft:
    """Return the rule `node` with the group's defaults laid under it; group = (name, owner)."""
    own = entries(node)
    under = entries(defaults)
    fields = {**{name: part for name, part in under.items() if name not in node.keys}, **own}
    for name in _MERGED:
        if name in under and name in own:
            merged = {**entries(under[name]), **entries(own[name])}
            fields[name] = Node(merged, own[name].line, own[name].column)
    title = quoted(str(own["name"].value))[1:-1] if "name" in own else "without a name"
    return Draft(node, fields, group[1], group[0], notes.about(f"rule {title}"))


def entries(node: Node | None) -> Mapping[str, Node]:
    """Return the entries of a mapping node, none for no node."""
    return node.value if node is not None and isinstance(node.value, dict) else {}


def items(node: Node | None) -> tuple[Node, ...]:
    """Return the items of a list node, none for no node."""
    return node.value if node is not None and isinstance(node.value, tuple) else ()
