"""Values at run time: their types, equality, order, membership, and the way out to Python.

Inside an evaluation a value is int, Uint, float, bool, str, bytes, None, list, dict, aware
datetime, timedelta or TypeName. Bindings may hold subclasses of these and any Mapping.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from engine.rules.cel.errors import (
    ARGUMENT,
    COST,
    NO_OVERLOAD,
    EvaluationError,
)
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint
from engine.rules.cel.optionals import Optional

MAX_NESTING: Final = 100


@dataclass(frozen=True, slots=True)
class TypeName:
    """The value of `type(x)`."""

    name: str


NAMES: Final[Mapping[type, str]] = {
    bool: "bool",
    Uint: "uint",
    int: "int",
    float: "double",
    TypeName: "type",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    dict: "map",
    datetime: "google.protobuf.Timestamp",
    timedelta: "google.protobuf.Duration",
    Optional: "optional_type",
}
NUMBERS: Final = frozenset({int, Uint, float})
_SIMPLE: Final = frozenset({int, float, bool, bytes, type(None), timedelta, TypeName})
ORDERED: Final = frozenset({int, Uint, float, bool, str, bytes, datetime, timedelta})
"""Types whose values have an order among themselves."""
SCALARS: Final = frozenset({int, float, bool, str, bytes, type(None), timedelta, datetime})


def kind(value: object) -> type:
    """Return the class that stands for the CEL type of `value`.

    Raises:
        EvaluationError: no_such_overload, when `value` is nothing that CEL knows.
    """
    found = type(value)
    if found in NAMES:
        return found
    for known in NAMES:
        if isinstance(value, known):
            return known
    if isinstance(value, Mapping):
        return dict
    if isinstance(value, tuple):
        return list
    raise EvaluationError(NO_OVERLOAD, f"a {found.__name__} is no value of CEL")


def name(value: object) -> str:
    """Return the CEL name of the type of `value`, for messages too."""
    return NAMES[kind(value)]


def type_of(value: object) -> TypeName:
    """Return the CEL type of `value` as a value."""
    return TypeName(name(value))


def no_overload(function: str, *args: object) -> EvaluationError:
    """Return the error of a function or operator that these values do not have."""
    found = ", ".join(name(arg) for arg in args)
    return EvaluationError(NO_OVERLOAD, f"no overload of {function} takes ({found})")


# -- equality and order


def equal(meter: Meter, left: Any, right: Any) -> bool:
    """Tell whether two values are equal; values of different types are not.

    Numbers are compared by value over int, uint and double; NaN equals nothing.
    """
    if type(left) is type(right) and type(left) in _SIMPLE:
        return bool(left == right)
    return _equal(meter, left, right, 0)


def _equal(meter: Meter, left: Any, right: Any, depth: int) -> bool:
    ours, theirs = kind(left), kind(right)
    if ours in NUMBERS and theirs in NUMBERS:
        left, right = alike(left, right)
        return bool(left == right)
    if ours is not theirs:
        return False
    if depth > MAX_NESTING:
        raise EvaluationError(COST, f"values nested deeper than {MAX_NESTING} are not compared")
    parts = _PARTS.get(ours)
    if parts is not None:
        return parts(meter, left, right, depth + 1)
    if ours in {str, bytes}:
        meter.spend_text(len(left))
    return bool(left == right)


def _equal_lists(meter: Meter, left: list[Any], right: list[Any], depth: int) -> bool:
    if len(left) != len(right):
        return False
    meter.spend(20 + 30 * len(left))
    return all(_equal(meter, one, other, depth) for one, other in zip(left, right, strict=True))


def _equal_maps(
    meter: Meter, left: Mapping[Any, Any], right: Mapping[Any, Any], depth: int
) -> bool:
    if len(left) != len(right):
        return False
    meter.spend(20 + 50 * len(left))
    return all(
        has_key(meter, right, key) and _equal(meter, value, right[key], depth)
        for key, value in left.items()
    )


def _equal_optionals(meter: Meter, left: Optional, right: Optional, depth: int) -> bool:
    if left.present and right.present:
        return _equal(meter, left.content, right.content, depth)
    return left.present == right.present


_PARTS: Final[Mapping[type, Callable[[Meter, Any, Any, int], bool]]] = {
    list: _equal_lists,
    dict: _equal_maps,
    Optional: _equal_optionals,
}


def alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two numbers so that Python compares them as CEL does: with a double as doubles."""
    if isinstance(left, float) or isinstance(right, float):
        return float(left), float(right)
    return left, right


def ordered(meter: Meter, sign: str, left: Any, right: Any) -> tuple[Any, Any]:
    """Return two values that have an order among them, so that Python can compare them.

    Raises:
        EvaluationError: no_such_overload.
    """
    ours, theirs = kind(left), kind(right)
    if ours in NUMBERS and theirs in NUMBERS:
        return alike(left, right)
    if ours is not theirs or ours not in ORDERED:
        raise no_overload(sign, left, right)
    if ours is datetime and (left.tzinfo is None) != (right.tzinfo is None):
        raise no_overload(sign, left, right)
    if ours in {str, bytes}:
        meter.spend_text(min(len(left), len(right)))
    return left, right


def less(meter: Meter, left: Any, right: Any) -> bool:
    """Return `left < right`."""
    one, other = ordered(meter, "<", left, right)
    return bool(one < other)


def at_most(meter: Meter, left: Any, right: Any) -> bool:
    """Return `left <= right`."""
    one, other = ordered(meter, "<=", left, right)
    return bool(one <= other)


def greater(meter: Meter, left: Any, right: Any) -> bool:
    """Return `left > right`."""
    one, other = ordered(meter, ">", left, right)
    return bool(one > other)


def at_least(meter: Meter, left: Any, right: Any) -> bool:
    """Return `left >= right`."""
    one, other = ordered(meter, ">=", left, right)
    return bool(one >= other)


def has_key(meter: Meter, where: Mapping[Any, Any], key: Any) -> bool:
    """Tell whether a map has `key`, numbers by value; false is not 0 and true is not 1."""
    if key not in where:
        return False
    if type(key) is str or (key not in {0, 1}):
        return True
    meter.spend(2 + len(where))
    wanted = kind(key) is bool
    return any(found == key and isinstance(found, bool) is wanted for found in where)


# -- out to Python


def plain(value: Any) -> Any:
    """Return `value` as Python has it: a Uint as int, a type by its name, lists and maps alike."""
    return value if type(value) in SCALARS else _plain(Meter(), value, 0)


def _plain(meter: Meter, value: Any, depth: int) -> Any:
    if depth > MAX_NESTING:
        raise EvaluationError(COST, f"a value nested deeper than {MAX_NESTING} is no result")
    found = kind(value)
    if found is list:
        meter.spend(4 + 3 * len(value))
        return [_plain(meter, each, depth + 1) for each in value]
    if found is dict:
        meter.spend(4 + 6 * len(value))
        return {
            _plain(meter, key, depth): _plain(meter, each, depth + 1) for key, each in value.items()
        }
    if found is Uint:
        return int(value)
    if found is Optional:
        raise EvaluationError(ARGUMENT, "an optional value is no result; end it with .orValue(x)")
    return value.name if found is TypeName else value
