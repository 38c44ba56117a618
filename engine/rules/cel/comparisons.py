"""What stood on both sides of each comparison of an expression, to explain its verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.rules.cel.careful import emit
from engine.rules.cel.check import check
from engine.rules.cel.errors import EvaluationError
from engine.rules.cel.parser import parse
from engine.rules.cel.syntax import Bind, Call, Loop, Node, children

_SIGNS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})


@dataclass(frozen=True)
class Compared:
    """One comparison: its sign, the value of each side, and its verdict.

    A side without a value holds the error in its place, and the verdict is None.
    """

    sign: str
    left: Any
    right: Any
    holds: bool | None


def comparisons(source: str, bindings: Mapping[str, Any]) -> list[Compared]:
    """Return the comparisons of the expression `source`, in its order, for `bindings`.

    Those inside macros are left out: they are made for each element anew.

    Raises:
        CelError: `source` is no CEL.
    """
    return [_compared(node, bindings) for node in _found(parse(source))]


def _found(node: Node) -> Iterator[Call]:
    if isinstance(node, Call) and node.function in _SIGNS:
        yield node
    elif not isinstance(node, Loop | Bind):
        for child in children(node):
            yield from _found(child)


def _compared(node: Call, bindings: Mapping[str, Any]) -> Compared:
    left, right = (_value(one, bindings) for one in node.args)
    holds = _value(node, bindings)
    return Compared(node.function, left, right, holds if isinstance(holds, bool) else None)


def _value(node: Node, bindings: Mapping[str, Any]) -> Any:
    try:
        return emit(lambda: check(node, None))(bindings)
    except EvaluationError as error:
        return error
