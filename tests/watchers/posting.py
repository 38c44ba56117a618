"""What others post, and what a receiver makes of it."""

import json
from typing import Any

from engine.model.signal import Signal
from tests.watchers.sources import NOON
from watchers.receiving import Hall, Post, Received, kinds


async def received(
    type_: str, body: Any, headers: dict[str, str] | None = None, **options: Any
) -> Received:
    """Return what the receiver `type_` makes of `body`, written as JSON unless it is bytes."""
    kind = kinds()[type_]
    config = kind.config.model_validate({"token_file": "token", **options})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await kind.receive(config, Post(headers or {}, raw), Hall(NOON))


async def the_signal(type_: str, body: Any, **options: Any) -> Signal:
    """Return the only signal of `body`, of which nothing is refused."""
    got = await received(type_, body, **options)
    assert got.refused == []
    (signal,) = got.signals
    return signal


HOSTILE = [
    b"",
    b" ",
    b"garbage",
    b"\xff\xfe{}",
    b"null",
    b"[]",
    b"0",
    b'"text"',
    b"{}",
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": "\\ud800"}',
    b'{"a": NaN}',
]
"""Bodies that no receiver can make anything of."""
