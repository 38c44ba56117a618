"""JSON that others post, read part by part: one bad part costs only itself."""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from watchers.receiving import Refusal

PartT = TypeVar("PartT")
BAD_JSON: Final = "bad-json"
BAD_FORM: Final = "bad-form"
VERSION: Final = "version"
_SHOWN: Final = 300
_AT_ONCE: Final = 100


def whole(raw: bytes, form: type[PartT], *, secret: bool = False) -> PartT | Refusal:
    """Return `raw` as a `form`, a msgspec type, or why it is none.

    `secret`: nothing of it may be kept or shown.
    """
    kept = b"" if secret else bytes(raw)
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError as error:
        return Refusal(BAD_FORM, str(error)[:_SHOWN], kept)
    except (ValueError, RecursionError) as error:
        detail = f"{len(raw)} bytes that are no JSON" if secret else str(error)[:_SHOWN]
        return Refusal(BAD_JSON, detail, kept)


async def parts(
    raws: Sequence[bytes | msgspec.Raw], form: type[PartT], *, secret: bool = False
) -> tuple[list[tuple[PartT, bytes]], list[Refusal]]:
    """Return those of `raws` that are a `form`, each with its bytes, and why others are none.

    The loop turns now and then: a large post must not hold up what is urgent.
    """
    good: list[tuple[PartT, bytes]] = []
    refused: list[Refusal] = []
    for number, raw in enumerate(raws, 1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        read = whole(bytes(raw), form, secret=secret)
        if isinstance(read, Refusal):
            refused.append(read)
        else:
            good.append((read, b"" if secret else bytes(raw)))
    return good, refused
