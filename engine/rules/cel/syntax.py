"""The syntax tree. Every node knows its line and column; `type` is what the checker inferred."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

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
    """`operand.field`, its presence test `has(operand.field)`, or `operand.?field`."""

    operand: Node
    field: str
    test: bool = False
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Index(Node):
    """`operand[key]`, or `operand[?key]`."""

    operand: Node
    key: Node
    optional: bool = False


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
    """`[a, b]`; `optional` are the positions of items written `?a`, which may be left out."""

    items: tuple[Node, ...]
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class MapOf(Node):
    """`{a: b}`; `optional` are the positions of entries written `?a: b`."""

    entries: tuple[tuple[Node, Node], ...]
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Loop(Node):
    """A macro over the elements of `over`, such as all, filter or map.

    `each` is the predicate, or the result of an element; `where` is the filter of macros that
    may have one. With two variables, `variables` are position and element of a list, or key and
    value of a map. `locals` number the variables, once checked.
    """

    macro: str
    over: Node
    variables: tuple[str, ...]
    each: Node
    where: Node | None = None
    locals: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bind(Node):
    """`cel.bind(variable, value, body)`; an error of `value` counts where the name is used."""

    variable: str
    value: Node
    body: Node
    local: int = 0


_Some = TypeVar("_Some", bound=Node)


def changed(node: _Some, **fields: Any) -> _Some:
    """Return a copy of `node` with other values of some fields.

    As dataclasses.replace(), in a tenth of the time: loading rules makes many thousands.
    """
    copy = object.__new__(type(node))
    copy.__dict__.update(node.__dict__, **fields)
    return copy


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below `node`, in the order of the source."""
    below = _CHILDREN.get(type(node))
    return () if below is None else below(node)


_CHILDREN: Final[Mapping[type, Callable[[Any], tuple[Node, ...]]]] = {
    Select: lambda node: (node.operand,),
    Index: lambda node: (node.operand, node.key),
    Call: lambda node: node.args if node.target is None else (node.target, *node.args),
    Choice: lambda node: (node.test, node.yes, node.no),
    Logic: lambda node: node.parts,
    ListOf: lambda node: node.items,
    MapOf: lambda node: tuple(part for entry in node.entries for part in entry),
    Loop: lambda node: (node.over, node.each, *((node.where,) if node.where else ())),
    Bind: lambda node: (node.value, node.body),
}
