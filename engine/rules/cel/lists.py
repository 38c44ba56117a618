"""The lists and sets extensions of CEL."""

from collections.abc import Iterable
from typing import Any, Final

from engine.rules.cel.containers import contains
from engine.rules.cel.errors import ARGUMENT, NO_OVERLOAD, EvaluationError
from engine.rules.cel.meter import Meter
from engine.rules.cel.optionals import NONE, Optional
from engine.rules.cel.values import ORDERED, kind, name, no_overload

MAX_LENGTH: Final = 100_000
_HASHED: Final = frozenset({str, int})
"""What Python's sets compare as CEL does, among themselves."""


def joined(meter: Meter, left: list[Any], right: list[Any]) -> list[Any]:
    """Return the elements of both."""
    meter.spend(1 + len(left) + len(right))
    return [*left, *right]


def part(meter: Meter, items: list[Any], start: int, end: int) -> list[Any]:
    """Return the elements from `start` up to, not including, `end`."""
    if not 0 <= start <= end <= len(items):
        raise EvaluationError(
            ARGUMENT, f"slice({start}, {end}) of a list of {len(items)} is no part of it"
        )
    meter.spend(1 + end - start)
    return list(items[start:end])


def flat(meter: Meter, items: list[Any]) -> list[Any]:
    """Return `items` with the elements of the lists in it instead of them."""
    return flat_to(meter, items, 1)


def flat_to(meter: Meter, items: list[Any], depth: int) -> list[Any]:
    """Do the same for lists in lists, `depth` times."""
    if depth < 0:
        raise EvaluationError(ARGUMENT, f"flatten({depth}): the depth is not negative")
    found = list(items)
    while depth and any(kind(each) is list for each in found):
        found = [inner for each in found for inner in _inner(meter, each)]
        depth -= 1
    return found


def _inner(meter: Meter, item: Any) -> Iterable[Any]:
    inner = item if kind(item) is list else (item,)
    meter.spend(2 + len(inner))
    return inner


def backwards(meter: Meter, items: list[Any]) -> list[Any]:
    """Return the elements from the last to the first."""
    meter.spend(1 + len(items))
    return list(items[::-1])


def count_to(meter: Meter, end: int) -> list[int]:
    """Return the numbers from 0 up to, not including, `end`."""
    if not 0 <= end <= MAX_LENGTH:
        raise EvaluationError(ARGUMENT, f"lists.range({end}): it takes 0 to {MAX_LENGTH}")
    meter.spend(1 + end)
    return list(range(end))


def distinct(meter: Meter, items: list[Any]) -> list[Any]:
    """Return each element once, the first of equal ones."""
    known, others, found = set[Any](), list[Any](), list[Any]()
    for item in items:
        meter.spend(4)
        hashed = type(item) in _HASHED
        if (hashed and item in known) or contains(meter, item, others if hashed else found):
            continue
        found.append(item)
        if hashed:
            known.add(item)
        else:
            others.append(item)
    return found


def in_order(meter: Meter, items: list[Any]) -> list[Any]:
    """Return the elements in ascending order; all have one type, which has an order."""
    return in_order_of(meter, items, items)


def in_order_of(meter: Meter, items: Any, keys: list[Any]) -> list[Any]:
    """Return the elements in the order of their keys; equal ones stay as they are."""
    if kind(items) is not list:
        raise no_overload("sortBy", items)
    _check_keys(keys)
    texts = sum(map(len, keys)) if keys and isinstance(keys[0], str | bytes) else 0
    meter.spend(1 + (len(keys) + (texts >> 4)) * (1 + len(keys).bit_length()))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [items[number] for number in order]


def _check_keys(keys: list[Any]) -> None:
    kinds = {kind(key) for key in keys}
    if len(kinds) > 1:
        raise EvaluationError(ARGUMENT, "what is sorted has one type, not several")
    if kinds and not kinds <= ORDERED:
        raise EvaluationError(NO_OVERLOAD, f"a {name(keys[0])} can not be sorted: it has no order")


def first(_: Meter, items: list[Any]) -> Optional:
    """Return the first element, none of an empty list."""
    return Optional(items[0]) if items else NONE


def last(_: Meter, items: list[Any]) -> Optional:
    """Return the last element, none of an empty list."""
    return Optional(items[-1]) if items else NONE


def is_subset(meter: Meter, items: list[Any], others: list[Any]) -> bool:
    """Tell whether every one of `others` is equal to one of `items`."""
    return all(contains(meter, other, items) for other in others)


def are_equivalent(meter: Meter, items: list[Any], others: list[Any]) -> bool:
    """Tell whether each list holds what the other one holds, however often."""
    return is_subset(meter, items, others) and is_subset(meter, others, items)


def intersect(meter: Meter, items: list[Any], others: list[Any]) -> bool:
    """Tell whether the lists have an element in common."""
    return any(contains(meter, other, items) for other in others)
