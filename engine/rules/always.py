"""Is a condition the same whatever the signals say? A finite search is a proof.

Comparisons of a path with constants change their answer only at those constants, so one value
at each constant, between two, and beyond the outermost stands for all. What is not understood
(calls, macros, arithmetic) counts as a condition that can be either, each for itself. So an
answer is sure, and none means that nothing was found.
"""

import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import ceil, floor, prod
from typing import Any, Final

from engine.rules.cel.guards import Path, path_of
from engine.rules.cel.parser import parse
from engine.rules.cel.syntax import Call, ListOf, Literal, Logic, Node

_MOST: Final = 20_000
"""How many parts are looked at, times how many combinations of values; beyond, nothing is said."""
_EXACT: Final = 2**53
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda one, several: one in several,
}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_MISSING: Final = object()
_OTHER: Final = "\0"
"""Stands for every text that is not written in the condition."""

Form = Any
"""A condition as read: a constant bool, a comparison (path, sign, constant), a junction (sign,
parts), or the number of something that is not understood."""


@dataclass(frozen=True)
class Domain:
    """What paths can be: `constants` have that very value, `natural` ones are never negative."""

    constants: Mapping[Path, Any] = field(default_factory=dict)
    natural: frozenset[Path] = frozenset()
    whole: frozenset[Path] = frozenset()


def always(source: str, domain: Domain) -> bool | None:
    """Return what the condition `source` (sound CEL) always is, None where it can be either."""
    reader = _Reader(domain)
    form = reader.form(parse(source))
    if isinstance(form, bool):
        return form
    points: dict[Hashable, list[Any]] = {
        path: _points(path, constants, domain) for path, constants in reader.compared.items()
    }
    points |= {number: [True, False] for number in range(reader.unknown)}
    if prod(map(len, points.values())) * reader.parts > _MOST:
        return None
    seen: set[bool] = set()
    for values in product(*points.values()):
        seen.add(_holds(form, dict(zip(points, values, strict=True))))
        if len(seen) > 1:
            return None
    return seen.pop()


class _Reader:
    """Reads a tree into a form; lives for one condition."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.compared: dict[Path, list[Any]] = {}
        self.unknown = 0
        self.parts = 0

    def form(self, node: Node) -> Form:
        self.parts += 1
        match node:
            case Logic(sign=sign, parts=parts):
                return (sign, tuple(self.form(part) for part in parts))
            case Call(function="!_", args=(operand,)):
                return ("!", (self.form(operand),))
            case Call(args=(left, right)):
                return self._relation(node.function, left, right)
            case _:
                return self._plain(node)

    def _relation(self, sign: str, left: Node, right: Node) -> Form:
        if sign == "in" and isinstance(right, ListOf):
            return self._among(left, right.items)
        return self._compared(sign, left, right) if sign in _TURNED else self._either()

    def _plain(self, node: Node) -> Form:
        value, path = self._constant(node), path_of(node)
        if isinstance(value, bool):
            return value
        known = path is not None and value is _MISSING and self._take(path, [True])
        return (path, "==", True) if known else self._either()

    def _either(self) -> Form:
        self.unknown += 1
        return self.unknown - 1

    def _among(self, left: Node, items: tuple[Node, ...]) -> Form:
        path, values = path_of(left), [self._constant(item) for item in items]
        if not values:
            return False
        if path is None or _MISSING in values or not self._take(path, values):
            return self._either()
        return (path, "in", tuple(values))

    def _compared(self, sign: str, left: Node, right: Node) -> Form:
        one, other = self._constant(left), self._constant(right)
        if one is not _MISSING and other is not _MISSING:
            return self._decided(sign, one, other)
        if one is not _MISSING:
            sign, left, other = _TURNED[sign], right, one
        path = path_of(left)
        if path is None or other is _MISSING:
            return self._either()
        ordered = sign not in {"==", "!="}
        if (ordered and not _is_number(other)) or not self._take(path, [other]):
            return self._either()
        return (path, sign, other)

    def _decided(self, sign: str, one: Any, other: Any) -> Form:
        if _sort(one) != _sort(other) or one is None:
            return self._either()
        return _COMPARE[sign](one, other)

    def _take(self, path: Path, values: list[Any]) -> bool:
        """Note the constants that `path` is compared with; tell whether they are of one sort."""
        every = [*self.compared.get(path, ()), *values]
        if len({_sort(value) for value in every}) > 1 or not all(map(_is_exact, every)):
            return False
        self.compared[path] = every
        return True

    def _constant(self, node: Node) -> Any:
        match node:
            case Literal(value=value):
                pass
            case Call(function="-_", args=(Literal(value=int() | float() as number),)):
                value = -number
            case _:
                path = path_of(node)
                value = None if path is None else self.domain.constants.get(path)
                value = _MISSING if value is None else value
        return value if isinstance(value, bool | int | float | str | None) else _MISSING


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_exact(value: Any) -> bool:
    """Whether arithmetic with floats finds the neighbours of `value`, if it is a number."""
    return not _is_number(value) or -_EXACT <= value <= _EXACT


def _sort(value: Any) -> str:
    return "number" if _is_number(value) else type(value).__name__


def _points(path: Path, constants: list[Any], domain: Domain) -> list[Any]:
    if not _is_number(constants[0]):
        return [*dict.fromkeys(constants), _OTHER]
    zero = {0.0} if path in domain.natural else set()
    written = sorted({*zero, *(float(value) for value in constants)})
    between = [(a + b) / 2 for a, b in pairwise(written)]
    below, above = written[0] - abs(written[0]) - 1, written[-1] + abs(written[-1]) + 1
    every = {below, *written, *between, above}
    if path in domain.whole:
        every = {float(way(value)) for value in every for way in (floor, ceil)}
    return sorted(value for value in every if value >= 0 or not zero)


def _holds(form: Form, values: Mapping[Hashable, Any]) -> bool:
    if isinstance(form, bool):
        return form
    if isinstance(form, int):
        return bool(values[form])
    if len(form) == 2:  # noqa: PLR2004 (sign and parts)
        return _joined(form[0], form[1], values)
    path, sign, constant = form
    return _COMPARE[sign](values[path], constant)


def _joined(sign: str, parts: tuple[Any, ...], values: Mapping[Hashable, Any]) -> bool:
    if sign == "!":
        return not _holds(parts[0], values)
    join = all if sign == "&&" else any
    return join(_holds(part, values) for part in parts)
