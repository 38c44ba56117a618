"""The syntax tree. Every node knows its line and column; `type` is what the checker inferred."""

from dataclasses import dataclass
from typing import Any

from engine.rules.cel.types import DYN, Type


@dataclass(frozen=True, kw_only=True)
class Node:
    """An expression. `type` is dyn until the checker has seen it."""

    line: int
    column: int
    type: Type = DYN


@dataclass(frozen=True, kw_only=True)
class Literal(Node):
    """A constant: int, Uint, float, str, bytes, bool, None; after folding also others."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Ident(Node):
    """A name. `root` (a leading dot) looks past the variables of macros.

    `local` is set by the checker: the number of the macro variable that it means, or 0.
    """

    name: str
    root: bool = False
    local: int = 0


@dataclass(frozen=True, kw_only=True)
class Select(Node):
    """`operand.field`, or its presence test `has(operand.field)`."""

    operand: Node
    field: str
    test: bool = False


@dataclass(frozen=True, kw_only=True)
class Index(Node):
    """`operand[key]`."""

    operand: Node
    key: Node


@dataclass(frozen=True, kw_only=True)
class Call(Node):
    """A function or an operator (by its sign); `target` is the receiver of a method."""

    function: str
    args: tuple[Node, ...]
    target: Node | None = None


@dataclass(frozen=True, kw_only=True)
class Logic(Node):
    """A whole chain of `&&` or of `||`."""

    sign: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Choice(Node):
    """`test ? yes : no`."""

    test: Node
    yes: Node
    no: Node


@dataclass(frozen=True, kw_only=True)
class ListOf(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class MapOf(Node):
    """`{a: b}`."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, kw_only=True)
class Loop(Node):
    """A macro: all, exists, exists_one, filter or map over the elements of `over`.

    `each` is the predicate, or for map the result; `where` is the filter of a map with three
    arguments. `local` numbers the variable, once checked.
    """

    macro: str
    over: Node
    variable: str
    each: Node
    where: Node | None = None
    local: int = 0


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below `node`, in the order of the source."""
    match node:
        case Select():
            return (node.operand,)
        case Index():
            return (node.operand, node.key)
        case Call():
            return node.args if node.target is None else (node.target, *node.args)
        case Choice():
            return (node.test, node.yes, node.no)
        case _:
            return _members(node)


def _members(node: Node) -> tuple[Node, ...]:
    match node:
        case Logic():
            return node.parts
        case ListOf():
            return node.items
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Loop():
            return (node.over, node.each) + ((node.where,) if node.where else ())
        case _:
            return ()
