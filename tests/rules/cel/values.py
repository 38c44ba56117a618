"""Random values for the variables of random expressions: what JSON has, and times."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from engine.rules import cel

NAMES = ("a", "b", "c", "d")
"""Variables without a type."""
KEYS = ("k", "n", "s", "if", "deep")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCALARS: Mapping[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "int": (0, 1, 2, -5, 7, 42, 2**53 + 1, 2**63 - 1, -(2**63)),
    "double": (0.0, -0.0, 1.0, 2.5, -1.5, 1e308, 2.0**63, 1e-9),
    "string": ("a", "abc", "", "é", "😀b", "1", "2h", "true", "a,b", " x "),
    "bytes": (b"", b"a", b"\xc3\xa9\x01"),
    "time": (
        _EPOCH,
        datetime(2024, 2, 29, 23, 59, 59, 250_000, UTC),
        datetime(1900, 1, 1, tzinfo=UTC),
    ),
    "span": (timedelta(), timedelta(hours=1, microseconds=1), timedelta(days=-3)),
}
TYPED: Mapping[str, cel.Type] = {
    "i": cel.INT,
    "f": cel.DOUBLE,
    "q": cel.BOOL,
    "w": cel.STRING,
    "v": cel.BYTES,
    "o": cel.TIMESTAMP,
    "p": cel.DURATION,
    "l": cel.ListType(cel.INT),
    "r": cel.ListType(cel.STRING),
    "m": cel.MapType(cel.STRING, cel.INT),
    "e": cel.MapType(cel.STRING, cel.DYN),
}
"""Variables that a schema declares."""
_KINDS = ("bool", "int", "double", "string")


def any_value(random: Random, depth: int = 3) -> Any:
    """Return a value that JSON has; rarely bytes. (The reference takes times only as declared.)"""
    form = random.randrange(12 if depth else 9)
    if form == 0:
        return None
    if form < 8:
        return random.choice(_SCALARS[random.choice(_KINDS)])
    if form == 8:
        return random.choice(_SCALARS["bytes"])
    if form == 9:
        return [any_value(random, depth - 1) for _ in range(random.randrange(4))]
    return {key: any_value(random, depth - 1) for key in KEYS if random.random() < 0.6}


def dynamic(random: Random) -> dict[str, Any]:
    """Return values for most of NAMES; a name may be missing."""
    return {name: any_value(random) for name in NAMES if random.random() < 0.9}


def typed(random: Random) -> dict[str, Any]:
    """Return values for TYPED, as it declares them."""
    return {name: _of(random, declared) for name, declared in TYPED.items()}


def _of(random: Random, declared: cel.Type) -> Any:
    if isinstance(declared, cel.ListType):
        return [_of(random, declared.elem) for _ in range(random.randrange(4))]
    if isinstance(declared, cel.MapType):
        return {key: _of(random, declared.value) for key in KEYS if random.random() < 0.5}
    if declared == cel.DYN:
        return any_value(random, 2)
    word = {"google.protobuf.Timestamp": "time", "google.protobuf.Duration": "span"}
    return random.choice(_SCALARS[word.get(str(declared), str(declared))])
