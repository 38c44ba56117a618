"""What an index of rules may know of an expression: guards and paths."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.rules.cel.syntax import (
    Call,
    Ident,
    Index,
    ListOf,
    Literal,
    Logic,
    Node,
    Select,
    children,
)

Path = tuple[str, ...]
_INDEXED: Final = frozenset({int, str, bool, type(None)})


@dataclass(frozen=True)
class Guard:
    """The value at `path` is one of `values`; when it is not, the expression is not true.

    With `prefix` it begins with one of them. `values` are int, str, bool and None; as keys of
    a set, 1, 1.0 and True are the same, so a guard may let pass what the expression then
    refuses, but never the other way round.
    """

    path: Path
    values: frozenset[Any]
    prefix: bool = False

    def holds(self, bindings: Mapping[str, Any]) -> bool:
        """Tell whether the guard lets `bindings` pass."""
        found: Any = bindings
        for name in self.path:
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        if self.prefix:
            return isinstance(found, str) and found.startswith(tuple(self.values))
        return isinstance(found, str | int | float | None) and found in self.values


def guards(root: Node) -> tuple[Guard, ...]:
    """Return what must hold for `root` to be true.

    That is: `path == literal`, `path in [literals]`, `path.startsWith(literal)`, `path` or
    `!path`, alone or joined by `&&`; and alternatives of one kind and path joined by `||`.
    """
    parts = root.parts if isinstance(root, Logic) and root.sign == "&&" else (root,)
    return tuple(found for part in parts if (found := _guard(part)) is not None)


def _guard(node: Node) -> Guard | None:
    match node:
        case Logic(sign="||", parts=parts):
            found = [_guard(part) for part in parts]
            sure = [guard for guard in found if guard is not None]
            kinds = {(guard.path, guard.prefix) for guard in sure}
            values = frozenset[Any]().union(*(guard.values for guard in sure))
            same = len(sure) == len(found) and len(kinds) == 1
            return Guard(sure[0].path, values, sure[0].prefix) if same else None
        case Call(function="!_", args=(operand,)):
            return _among(operand, None, value=False)
        case Call(function="==" | "in" | "startsWith"):
            return _compared(node)
        case _:
            return _among(node, None, value=True)


def _compared(node: Call) -> Guard | None:
    match node:
        case Call(function="==", args=(left, right)):
            return _equals(left, right) or _equals(right, left)
        case Call(function="in", args=(left, ListOf(items=items))):
            return _among(left, items)
        case Call(function="startsWith", target=Node() as target, args=(Literal(value=str(text)),)):
            path = path_of(target)
            return Guard(path, frozenset({text}), prefix=True) if path and text else None
        case _:
            return None


def _equals(left: Node, right: Node) -> Guard | None:
    return _among(left, (right,))


def _among(node: Node, items: tuple[Node, ...] | None, *, value: bool = True) -> Guard | None:
    path = path_of(node)
    if path is None:
        return None
    if items is None:
        return Guard(path, frozenset({value}))
    values = [item.value for item in items if isinstance(item, Literal)]
    if len(values) < len(items) or not {type(each) for each in values} <= _INDEXED:
        return None
    return Guard(path, frozenset(values))


def path_of(node: Node) -> Path | None:
    """Return the path that `node` reads from a variable, None when it does anything else."""
    match node:
        case Ident(local=0):
            return (node.name,)
        case Select(test=False, optional=False):
            below, key = path_of(node.operand), node.field
        case Index(key=Literal(value=str(key)), optional=False):
            below = path_of(node.operand)
        case _:
            return None
    return None if below is None else (*below, key)


def paths(root: Node) -> frozenset[Path]:
    """Return every longest path that `root` reads, presence tests included."""
    return frozenset(_paths(root))


def _paths(node: Node) -> Iterator[Path]:
    path = path_of(node)
    if path is None and isinstance(node, Select):
        below = path_of(node.operand)
        path = None if below is None else (*below, node.field)
    if path is not None:
        yield path
        return
    for part in children(node):
        yield from _paths(part)
