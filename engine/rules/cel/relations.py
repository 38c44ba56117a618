"""Comparisons as Python: with a literal they become Python's own, behind an exact type test."""

import ast
from collections.abc import Callable
from typing import Any, Final

from engine.rules.cel import python as py
from engine.rules.cel.numbers import Uint

EXACT_INTS: Final = 2**53
MIRROR: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
FUNCTION: Final = {
    "<": "less",
    "<=": "at_most",
    ">": "greater",
    ">=": "at_least",
    "==": "equal",
    "!=": "not_equal",
    "in": "contains",
}
PYTHON: Final[dict[str, Callable[[], ast.cmpop]]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
    "in": ast.In,
}


def equality(sign: str, operand: ast.expr, literal: Any, temp: str) -> ast.expr:
    """Return `operand == literal` (or !=) for a literal that is a scalar.

    Python's own `==` gives what CEL gives, but for bool, which is an int in Python.
    """
    negative = sign == "!="
    value = int(literal) if type(literal) is Uint else literal
    if value is None or isinstance(value, bool):
        return (py.is_not if negative else py.is_)(operand, py.const(value))
    if isinstance(value, int | float) and value in {0, 1}:
        same = py.compare(py.keep(temp, operand), ast.Eq(), py.const(value))
        number = py.is_not(py.name(temp), py.const(bool(value)))
        found = py.both(same, number)
        return py.not_(found) if negative else found
    return py.compare(operand, PYTHON[sign](), py.const(value))


def order(sign: str, operand: ast.expr, literal: Any, temp: str) -> ast.expr:
    """Return `operand < literal` (or <=, >, >=) for a number or string.

    Other types, subclasses among them, take the slow way, which knows them all.
    """
    value = int(literal) if type(literal) is Uint else literal
    kept, kind = py.name(temp), f"{temp}k"
    exact = py.call("type", py.keep(temp, operand))
    if isinstance(value, str):
        test = py.is_(exact, py.name("str"))
    else:
        test = py.either(
            py.is_(py.keep(kind, exact), py.name("int")),
            py.is_(py.name(kind), py.name("float")),
        )
    fast = py.compare(kept, PYTHON[sign](), py.const(value))
    slow = py.call(FUNCTION[sign], py.name("UNMETERED"), py.name(temp), py.const(value))
    return py.choose(test, fast, slow)


def exact(literal: Any) -> bool:
    """Tell whether Python compares a literal as CEL does: a double holds every int near it."""
    return not isinstance(literal, int | float) or abs(literal) < EXACT_INTS


def membership(operand: ast.expr, literals: list[str]) -> ast.expr:
    """Return `operand in [strings]`; nothing but a string equals a string."""
    return py.compare(operand, ast.In(), py.const(tuple(literals)))
