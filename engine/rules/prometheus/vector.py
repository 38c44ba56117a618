"""Instant vectors as CEL: for one set of labels, whether there is an element, and its value.

An expression of PromQL whose elements all have the same labels is, for each set of labels, a
condition and a number. Comparisons narrow the condition, arithmetic changes the number, and
`and`, `or`, `unless` on the same labels are `&&`, `||` and `&& !`.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

ALWAYS: Final = "true"
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*"| && | \|\| |.', re.DOTALL)
SETS: Final = frozenset({"and", "or", "unless"})


class RefusedError(Exception):
    """An expression, or a part of it, that can not be kept exactly."""

    def __init__(self, part: object, why: str, way_out: str = "") -> None:
        """Say of `part` (of the expression, as text) why, and what could be done instead."""
        self.part = str(part).replace("{}", "")
        self.why = why
        self.way_out = way_out
        super().__init__(f"{self.part}: {why}")


@dataclass(frozen=True)
class Vector:
    """The elements of an expression, for one set of labels.

    Attributes:
        present: CEL: whether there is one.
        value: CEL: its value, a double; empty where it can not be computed.
        shown: the value in a template; empty where a template can not compute it.
        labels: those that the elements have; None: all of the series.
    """

    present: str
    value: str
    shown: str
    labels: tuple[str, ...] | None = None


def literal(value: float) -> str:
    """Return `value` in CEL, always a double.

    Raises:
        RefusedError: it is infinite or not a number.
    """
    if not math.isfinite(value):
        raise RefusedError(value, "infinite values have no counterpart", "compare with a number")
    return repr(float(value))


def calculated(left: Vector | float, symbol: str, right: Vector | float) -> Vector | float:
    """Return `left symbol right` of arithmetic.

    Raises:
        RefusedError: both are numbers, and the result is none.
    """
    if isinstance(left, float) and isinstance(right, float):
        try:
            return ARITHMETIC[symbol](left, right)
        except ArithmeticError as error:
            raise RefusedError(f"{left} {symbol} {right}", str(error)) from error
    value = f"{_term(left)} {symbol} {_term(right)}"
    shown = [_shown(one) for one in (left, right)]
    return Vector(
        present=both(*(one.present for one in (left, right) if isinstance(one, Vector))),
        value=value,
        shown=f"({shown[0]} {symbol} {shown[1]})" if all(shown) else "",
        labels=labels_of(left, right),
    )


def compared(
    left: Vector | float, symbol: str, right: Vector | float, *, as_number: bool
) -> Vector | float:
    """Return `left symbol right` of a comparison; `as_number`: with `bool`, 0 or 1."""
    if isinstance(left, float) and isinstance(right, float):
        return float(COMPARISONS[symbol](left, right))
    test = f"{_side(left)} {symbol} {_side(right)}"
    there = both(*(one.present for one in (left, right) if isinstance(one, Vector)))
    labels = labels_of(left, right)
    if as_number:
        return Vector(there, f"({test} ? 1.0 : 0.0)", "", labels)
    kept = left if isinstance(left, Vector) else right
    return Vector(both(there, test), _side(kept), _shown(kept), labels)


def combined(left: Vector, word: str, right: Vector) -> Vector:
    """Return `left and|or|unless right`, matched on all their labels."""
    labels = labels_of(left, right)
    if word == "and":
        return replace(left, present=both(left.present, right.present), labels=labels)
    if word == "unless":
        return replace(left, present=both(left.present, negated(right.present)), labels=labels)
    value = left.value
    if left.value != right.value:
        known = left.value and right.value
        value = f"({left.present} ? {left.value} : {right.value})" if known else ""
    shown = left.shown if left.value == right.value else ""
    return Vector(either(left.present, right.present), value, shown, labels)


def opposite(one: Vector | float) -> Vector | float:
    """Return `-one`."""
    if isinstance(one, float):
        return -one
    return replace(one, value=f"-{_term(one)}", shown=f"(-{one.shown})" if one.shown else "")


def mapped(one: Vector, form: str, limits: Sequence[float]) -> Vector:
    """Return `one` with its value put into the CEL text `form` as `v`, beside the `limits`."""
    value = form.format(*map(literal, limits), v=_term(one))
    return replace(one, value=value, shown="")


def both(*conditions: str) -> str:
    """Return the conjunction of CEL conditions, each part of it once."""
    found = (part for one in conditions if one != ALWAYS for part in _conjuncts(one))
    return " && ".join(dict.fromkeys(found)) or ALWAYS


def either(left: str, right: str) -> str:
    """Return the disjunction of two CEL conditions."""
    return ALWAYS if ALWAYS in {left, right} else f"{left} || {right}"


def negated(condition: str) -> str:
    """Return the negation of a CEL condition."""
    return f"!({condition})"


def labels_of(left: Vector | float, right: Vector | float) -> tuple[str, ...] | None:
    """Return the labels of the elements of `left` and `right`, which must be the same.

    Raises:
        RefusedError: they are not.
    """
    found = {one.labels for one in (left, right) if isinstance(one, Vector)}
    if len(found) > 1:
        shown = " and ".join(sorted("all" if one is None else f"{list(one)}" for one in found))
        raise RefusedError(
            "the two sides",
            f"their elements have different labels ({shown})",
            "group both sides by the same labels",
        )
    return next(iter(found))


def _conjuncts(condition: str) -> list[str]:
    """Return the parts of a condition that `&&` joins; a disjunction is one, in parentheses."""
    parts, depth = [""], 0
    for mark in _MARK.findall(condition):
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if depth == 0 and mark == " || ":
            return [f"({condition})"]
        if depth == 0 and mark == " && ":
            parts.append("")
        else:
            parts[-1] += mark
    return parts


def _side(one: Vector | float) -> str:
    if isinstance(one, Vector) and not one.value:
        raise RefusedError(
            "a rate, increase or changes",
            "it is known whether it is above 0, not how much it is: Prometheus extrapolates it",
            "compare it with 0 alone, beside other conditions",
        )
    return literal(one) if isinstance(one, float) else one.value


def _term(one: Vector | float) -> str:
    """Return a factor of arithmetic; CEL divides whole numbers, so each is made a double."""
    text = _side(one)
    if text == "signal.value":
        return "double(signal.value)"
    return f"({text})" if " " in text else text


def _shown(one: Vector | float) -> str:
    return literal(one) if isinstance(one, float) else one.shown
