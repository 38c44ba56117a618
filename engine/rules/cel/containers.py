"""Lists and maps: membership, parts of them by field, key or position, and how maps are built."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.rules.cel import optionals
from engine.rules.cel.errors import (
    ARGUMENT,
    DUPLICATE_KEY,
    INDEX,
    MISSING,
    NO_OVERLOAD,
    UNSUPPORTED,
    EvaluationError,
)
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint
from engine.rules.cel.optionals import NONE, Optional
from engine.rules.cel.values import NUMBERS, equal, has_key, kind, name, no_overload

_KEYS: Final = frozenset({bool, int, Uint, str})


def contains(meter: Meter, element: Any, where: Any) -> bool:
    """Return `element in where`, for a list or the keys of a map."""
    found = kind(where)
    if found is list:
        if type(element) is str:  # nothing else equals a string, so Python's own test will do
            meter.spend(1 + (len(where) * (8 + (len(element) >> 4)) >> 6))
            return element in where
        meter.spend(4 + 5 * len(where))
        return any(equal(meter, element, each) for each in where)
    if found is not dict or not (kind(element) in _KEYS or kind(element) is float):
        raise no_overload("in", element, where)
    return has_key(meter, where, element)


def has_field(operand: Any, field: str) -> bool:
    """Return `has(operand.field)`."""
    found = kind(operand)
    if found is Optional:
        return operand.present and has_field(operand.content, field)
    if found is dict:
        return field in operand
    raise no_overload("has", operand)


def select(operand: Any, field: str) -> Any:
    """Return `operand.field`."""
    found = kind(operand)
    if found is Optional:
        return select_optional(operand, field)
    if found is not dict:
        raise EvaluationError(NO_OVERLOAD, f"a {name(operand)} has no fields, so no '{field}'")
    if field not in operand:
        raise EvaluationError(MISSING, f"there is no '{field}'")
    return operand[field]


def select_optional(operand: Any, field: str) -> Optional:
    """Return `operand.?field`: none where it is missing, or the operand itself is none."""
    if isinstance(operand, Optional):
        return select_optional(operand.content, field) if operand.present else NONE
    if kind(operand) is not dict:
        raise EvaluationError(NO_OVERLOAD, f"a {name(operand)} has no fields, so no '{field}'")
    return Optional(operand[field]) if field in operand else NONE


def index(meter: Meter, operand: Any, key: Any) -> Any:
    """Return `operand[key]`: of a list by position from 0, of a map by key."""
    found = kind(operand)
    if found is list:
        return _element(operand, key)
    if found is Optional:
        return _within(meter, operand, key)
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


def index_optional(meter: Meter, operand: Any, key: Any) -> Optional:
    """Return `operand[?key]`: none where it is missing, or the operand itself is none."""
    found = kind(operand)
    if found is Optional:
        return index_optional(meter, operand.content, key) if operand.present else NONE
    if found is list and kind(key) is int:
        return Optional(operand[key]) if 0 <= key < len(operand) else NONE
    if found is not dict:
        raise no_overload("[?]", operand, key)
    known = kind(key) in _KEYS | {float} and has_key(meter, operand, key)
    return Optional(operand[key]) if known else NONE


def _within(meter: Meter, optional: Optional, key: Any) -> Optional:
    """Return a part of what may be absent; a position behind the end of a list is an error."""
    if optional.present and kind(optional.content) is list:
        return Optional(_element(optional.content, key))
    if optional.present and kind(key) not in _KEYS | {float}:
        raise no_overload("[]", optional, key)
    return index_optional(meter, optional, key)


def elements(meter: Meter, over: Any) -> Iterable[Any]:
    """Return what a macro walks over: the elements of a list or the keys of a map."""
    found = kind(over)
    if found is not list and found is not dict:
        raise EvaluationError(NO_OVERLOAD, f"a macro walks over a list or map, not a {name(over)}")
    meter.spend(10)
    return over  # type: ignore[no-any-return]


def pairs(meter: Meter, over: Any) -> Iterable[tuple[Any, Any]]:
    """Return what a macro with two variables walks over: position and element, or key and value."""
    walked = elements(meter, over)
    return over.items() if isinstance(walked, Mapping) else enumerate(walked)


def entry(key: Any, value: Any) -> tuple[Any, ...]:
    """Return what `?key: value` puts into a map: the key and the value in `value`, or nothing."""
    _check_key(key)
    return (key, value.content) if optionals.present(value, "?") else ()


def merge(meter: Meter, built: dict[Any, Any], entries: Any) -> None:
    """Add the entries that an element of transformMapEntry() gives."""
    if kind(entries) is not dict:
        raise no_overload("transformMapEntry", entries)
    for key, value in entries.items():
        meter.spend(8)
        if key in built:
            raise _duplicate(built, key)
        built[key] = value


def make_map(meter: Meter, *parts: Any) -> dict[Any, Any]:
    """Build a map from alternating keys and values."""
    built: dict[Any, Any] = {}
    meter.spend(10 + 8 * len(parts))
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        _check_key(key)
        if key in built:
            raise _duplicate(built, key)
        built[key] = value
    return built


def _check_key(key: Any) -> None:
    if kind(key) not in _KEYS:
        raise EvaluationError(ARGUMENT, f"a {name(key)} can not be the key of a map")


def _duplicate(built: dict[Any, Any], key: Any) -> EvaluationError:
    """In CEL 1, 1u and true are three keys, although 1 finds 1u; a dict holds one of them."""
    if any(found == key and kind(found) is kind(key) for found in built):
        return EvaluationError(DUPLICATE_KEY, f"the key {key!r:.60} stands twice in a map")
    return EvaluationError(UNSUPPORTED, f"the key {key!r:.60} stands in a map as another type")
