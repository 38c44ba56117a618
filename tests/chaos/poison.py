"""Records that are no signals, of every kind that a careless or hostile sender may come up with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

DEPTH = 10_000
DIGITS = 400
LARGE = 900_000
"""Bytes of the large ones; larger ones are refused by the brokers."""
EVERY_LARGE = 200
"""One in so many is large, or the disk of a test would be full of them."""

Made = bytes | None


def poison(number: int, random: Random) -> tuple[bytes, Made]:
    """Return key and value of a record that must go to quarantine, whole."""
    if number % EVERY_LARGE == 0:
        return b"large", b'"' + b"x" * LARGE + b'"'
    kind = _KINDS[number % len(_KINDS)]
    return kind.__name__.strip("_").encode(), kind(random)


def _bad_utf8(random: Random) -> Made:
    return json.dumps([_signal(random)]).encode().replace(b"alert", b"al\xff\xfert")


def _cut_json(random: Random) -> Made:
    whole = json.dumps([_signal(random)]).encode()
    return whole[: random.randrange(1, len(whole) - 1)]


def _deep(_random: Random) -> Made:
    return b"[" * DEPTH + b"]" * DEPTH


def _not_a_number(random: Random) -> Made:
    return json.dumps([{**_signal(random), "data": {"celsius": float("nan")}}]).encode()


def _twice_a_key(random: Random) -> Made:
    return json.dumps([_signal(random)]).encode().replace(b'"id"', b'"id": "other", "id"')


def _long_number(random: Random) -> Made:
    number = "9" * DIGITS
    return (
        json.dumps([_signal(random)])
        .encode()
        .replace(b'"celsius": 50', f'"celsius": {number}'.encode())
    )


def _later_version(random: Random) -> Made:
    return json.dumps([{**_signal(random), "specversion": "9.0"}]).encode()


def _random_bytes(random: Random) -> Made:
    return random.randbytes(random.randrange(1, 300))


def _other_shape(random: Random) -> Made:
    return random.choice([b"{}", b"null", b"7", b'"text"', b"[7]", b"[null]", b"[[]]", b"[{}]"])


def _empty(_random: Random) -> Made:
    return b""


def _nothing(_random: Random) -> Made:
    return None


def _signal(random: Random) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"poison-{random.random()}",
        "source": "poison/1",
        "type": "alert",
        "time": "2025-06-01T00:00:00+00:00",
        "cluster": "poison",
        "data": {"celsius": 50, "name": "app-a.0", "lot": 0},
    }


_KINDS: tuple[Callable[[Random], Made], ...] = (
    _bad_utf8,
    _cut_json,
    _deep,
    _not_a_number,
    _twice_a_key,
    _long_number,
    _later_version,
    _random_bytes,
    _other_shape,
    _empty,
    _nothing,
)
