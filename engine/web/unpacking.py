"""The body of a request, unpacked while it comes: never more of it than is allowed."""

import zlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, Request

from engine.web.body import READ_LIMIT
from engine.web.refusal import Refusal

SLICE: Final = 64 << 10
"""Bytes that are unpacked at once."""
RATIO: Final = 200
"""Times that packed bytes may grow, beyond the first SLICE of them: JSON grows up to 50 times."""
_WBITS: Final[Mapping[str, int | None]] = {
    "": None,
    "identity": None,
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}
ACCEPTED: Final = "gzip, deflate, identity"


class Unpacker:
    """Unpacks one body of a content encoding, of which `limit` bytes may come out.

    Raises Refusal: 415 an encoding that is not known, 413 too much, 400 no such data.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in _WBITS:
            why = f"content encoding '{encoding[:40]}' is not known; allowed are {ACCEPTED}"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why, {"Accept-Encoding": ACCEPTED})
        wbits = _WBITS[encoding]
        self.packed = wbits is not None
        self._inflate = None if wbits is None else zlib.decompressobj(wbits)
        self._limit = limit
        self._came = 0
        self._size = 0

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield what `part` unpacks to, in slices."""
        self._came += len(part)
        if self._inflate is None:
            yield self._counted(part)
            return
        while part:
            if self._inflate.eof:
                raise Refusal(HTTPStatus.BAD_REQUEST, "bytes after the end of the packed body")
            try:
                piece = self._inflate.decompress(part, SLICE)
            except zlib.error as error:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"packed body: {error}") from error
            part = self._inflate.unconsumed_tail or self._inflate.unused_data
            yield self._counted(piece)

    def end(self) -> Iterator[bytes]:
        """Yield what is left; raise Refusal (400) where the packed body ends too early."""
        if self._inflate is None:
            return
        yield self._counted(self._inflate.flush())
        if self._came and not self._inflate.eof:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the packed body is cut off")

    def _counted(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size > self._limit:
            why = f"body of {self._size} bytes or more; allowed are {self._limit}"
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        if self.packed and self._size > RATIO * self._came + SLICE:
            why = f"packed body that grows more than {RATIO} times"
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        return piece


def unpacker_of(request: Request, limit: int) -> Unpacker:
    """Return what unpacks the body of `request`. Raises Refusal (415)."""
    return Unpacker(request.headers.get("content-encoding", "").strip().lower(), limit)


async def read_unpacked(request: Request, unpacker: Unpacker) -> bytes:
    """Return the body of `request`, unpacked.

    Raises:
        Refusal: it is too large, no such data, or the sender went away.
    """
    body, came = bytearray(), 0
    fault: Refusal | None = None
    try:
        async for part in request.stream():
            came += len(part)
            if came > READ_LIMIT:
                break
            if fault is None:
                try:
                    body.extend(b"".join(unpacker.feed(part)))
                except Refusal as error:
                    fault = error  # who still sends does not hear an answer
                    body.clear()
    except ClientDisconnect as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "body cut off") from error
    if fault is not None:
        raise fault
    body.extend(b"".join(unpacker.end()))
    return bytes(body)
