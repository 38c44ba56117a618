"""Values at run time: their types, equality, order, membership, and the way out to Python.

Inside an evaluation a value is int, Uint, float, bool, str, bytes, None, list, dict, aware
datetime, timedelta or TypeName. Bindings may hold subclasses of these and any Mapping.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from engine.rules.cel.errors import (
    ARGUMENT,
    COST,
    DUPLICATE_KEY,
    INDEX,
    MISSING,
    NO_OVERLOAD,
    UNSUPPORTED,
    EvaluationError,
)
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint

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
}
NUMBERS: Final = frozenset({int, Uint, float})
_SIMPLE: Final = frozenset({int, float, bool, bytes, type(None), timedelta, TypeName})
_ORDERED: Final = frozenset({bool, str, bytes, timedelta})
_KEYS: Final = frozenset({bool, int, Uint, str})
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
    if ours is list:
        return _equal_lists(meter, left, right, depth + 1)
    if ours is dict:
        return _equal_maps(meter, left, right, depth + 1)
    if ours in {str, bytes}:
        meter.spend_text(len(left))
    return bool(left == right)


def _equal_lists(meter: Meter, left: list[Any], right: list[Any], depth: int) -> bool:
    if len(left) != len(right):
        return False
    meter.spend(8 + 20 * len(left))
    return all(_equal(meter, one, other, depth) for one, other in zip(left, right, strict=True))


def _equal_maps(
    meter: Meter, left: Mapping[Any, Any], right: Mapping[Any, Any], depth: int
) -> bool:
    if len(left) != len(right):
        return False
    meter.spend(8 + 40 * len(left))
    return all(
        has_key(meter, right, key) and _equal(meter, value, right[key], depth)
        for key, value in left.items()
    )


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
    if ours is theirs and ours in _ORDERED:
        if ours in {str, bytes}:
            meter.spend_text(min(len(left), len(right)))
        return left, right
    if ours is theirs is datetime and (left.tzinfo is None) == (right.tzinfo is None):
        return left, right
    raise no_overload(sign, left, right)


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


# -- lists and maps


def has_key(meter: Meter, where: Mapping[Any, Any], key: Any) -> bool:
    """Tell whether a map has `key`, numbers by value; false is not 0 and true is not 1."""
    if key not in where:
        return False
    if type(key) is str or (key not in {0, 1}):
        return True
    meter.spend(2 + len(where))
    wanted = kind(key) is bool
    return any(found == key and isinstance(found, bool) is wanted for found in where)


def contains(meter: Meter, element: Any, where: Any) -> bool:
    """Return `element in where`, for a list or the keys of a map."""
    found = kind(where)
    if found is list:
        meter.spend(4 + 5 * len(where))
        return any(equal(meter, element, each) for each in where)
    if found is not dict or not (kind(element) in _KEYS or kind(element) is float):
        raise no_overload("in", element, where)
    return has_key(meter, where, element)


def has_field(operand: Any, field: str) -> bool:
    """Return `has(operand.field)`."""
    if kind(operand) is dict:
        return field in operand
    raise no_overload("has", operand)


def select(operand: Any, field: str) -> Any:
    """Return `operand.field`."""
    if kind(operand) is not dict:
        raise EvaluationError(NO_OVERLOAD, f"a {name(operand)} has no fields, so no '{field}'")
    if field not in operand:
        raise EvaluationError(MISSING, f"there is no '{field}'")
    return operand[field]


def index(meter: Meter, operand: Any, key: Any) -> Any:
    """Return `operand[key]`: of a list by position from 0, of a map by key."""
    found = kind(operand)
    if found is list:
        return _element(operand, key)
    if found is not dict or not (kind(key) in _KEYS or kind(key) is float):
        raise no_overload("[]", operand, key)
    if not has_key(meter, operand, key):
        raise EvaluationError(MISSING, f"there is no key {key!r:.60}")
    return operand[key]


def _element(where: Any, key: Any) -> Any:
    if kind(key) not in NUMBERS or key != key // 1:
        raise no_overload("[]", where, key)
    if not 0 <= key < len(where):
        raise EvaluationError(INDEX, f"index {key} of a list of {len(where)}")
    return where[int(key)]


def elements(meter: Meter, over: Any) -> Iterable[Any]:
    """Return what a macro walks over: the elements of a list or the keys of a map."""
    found = kind(over)
    if found is not list and found is not dict:
        raise EvaluationError(NO_OVERLOAD, f"a macro walks over a list or map, not a {name(over)}")
    meter.spend(10)
    return over  # type: ignore[no-any-return]


def make_map(meter: Meter, *parts: Any) -> dict[Any, Any]:
    """Build a map from alternating keys and values."""
    built: dict[Any, Any] = {}
    meter.spend(10 + 8 * len(parts))
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if kind(key) not in _KEYS:
            raise EvaluationError(ARGUMENT, f"a {name(key)} can not be the key of a map")
        if key in built:
            raise _duplicate(built, key)
        built[key] = value
    return built


def _duplicate(built: dict[Any, Any], key: Any) -> EvaluationError:
    """In CEL 1, 1u and true are three keys, although 1 finds 1u; a dict holds one of them."""
    if any(found == key and kind(found) is kind(key) for found in built):
        return EvaluationError(DUPLICATE_KEY, f"the key {key!r:.60} stands twice in a map")
    return EvaluationError(UNSUPPORTED, f"the key {key!r:.60} stands in a map as another type")


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
    return value.name if found is TypeName else value
