"""The body of a request, never more of it than there is room for."""

from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from engine.web.refusal import Refusal

READ_LIMIT = 64 << 20
"""Bytes that are read of a request that is refused: who still sends does not hear an answer."""


async def read_body(request: Request, keep: int) -> tuple[bytes, int]:
    """Return the body, its first `keep` bytes at most, and how many bytes came.

    Raises:
        Refusal: the sender went away.
    """
    body = bytearray()
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            body += part[: keep - len(body)]
            if size > READ_LIMIT:
                break
    except ClientDisconnect as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "body cut off") from error
    return bytes(body), size


async def small_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises Refusal (413) when it has more than `limit` bytes."""
    body, size = await read_body(request, limit)
    if size > limit:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body of {size} bytes; allowed are {limit}"
        )
    return body


def kind_of(request: Request) -> str:
    """Return the content type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
