"""What a case of the conformance tables says: an expression, and its value or why it has none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Fails:
    """No value: the code of our error, and a part of the message of the reference."""

    code: str
    words: str


Case = tuple[str, Any]
VARIABLES: Mapping[str, Any] = {
    "a": {"k": 1, "n": 2.5, "s": "text", "if": True, "deep": {"k": {"n": [1, 2, {"s": None}]}}},
    "b": [1, 2.0, "three", None, True],
    "c": "c",
}
"""The variables of all cases; `d` has no value."""

MISSING = Fails("missing", "not found|No value with name")
NO_OVERLOAD = Fails("no_such_overload", "No matching overloads|Applying|nvalid|expected|only")
NO_OPTIONAL = Fails("no_such_overload", "conversion error")
OVERFLOW = Fails("overflow", "overflow|out of range|below|above|range|nvalid")
BY_ZERO = Fails("divide_by_zero", "divide by zero|modulus by zero")
INDEX = Fails("index", "Index error|index out of bounds")
CONVERSION = Fails("conversion", "onvert|onversion|parse|nvalid|malformed|duration|timestamp")
ARGUMENT = Fails("argument", "")
BAD_KEY = Fails("argument", "key type")
DUPLICATE = Fails("duplicate_key", "duplicate|Duplicate")
REFUSED = Fails("refused", "")
"""We do not compile it; the reference does not either, or fails."""

INF = float("inf")


def at(text: str) -> datetime:
    """Return an instant in UTC, from ISO 8601 without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(seconds: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=seconds)
