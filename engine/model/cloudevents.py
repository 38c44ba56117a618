"""The three HTTP forms of CloudEvents 1.0 (structured, batch, binary) as one record.

Source: CloudEvents HTTP protocol binding 1.0.2.
"""

import json
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


class BadRequest(Exception):  # noqa: N818 - the name of the status
    """A request that is no CloudEvent at all; `status` is the HTTP status to answer."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class BadData(Exception):  # noqa: N818 - no fault of ours
    """The data of a binary event is not one JSON value; the message says why."""


def to_batch(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the JSON array or the one event of a request, not yet checked.

    Raises:
        BadRequest: the content type is none of the three forms, or that of the data of a
            binary event is not JSON (415).
        BadData: the data of a binary event says it is JSON, and is not.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {BATCH, STRUCTURED}:
        return body
    if "ce-specversion" in headers:
        return _binary(headers, kind, body)
    raise BadRequest(
        415, f"content type '{kind}' is not known; send {STRUCTURED}, {BATCH}, or ce- headers"
    )


def _binary(headers: Mapping[str, str], kind: str, body: bytes) -> bytes:
    event = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    if kind not in {"application/json", ""}:
        raise BadRequest(415, f"data of content type '{kind}'; allowed is application/json")
    return json.dumps(event).encode()[:-1] + b', "data": ' + _one_value(body or b"{}") + b"}"


def _one_value(body: bytes) -> bytes:
    """Return `body`, which is one JSON value: nothing in it can close the event around it."""
    try:
        return bytes(msgspec.json.decode(body, type=msgspec.Raw))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadData(f"data of a binary event: {error}") from error
