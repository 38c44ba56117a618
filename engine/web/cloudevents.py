"""The three HTTP forms of CloudEvents 1.0 (structured, batch, binary) as one record.

Source: CloudEvents HTTP protocol binding 1.0.2.
"""

import json
from collections.abc import Mapping
from urllib.parse import unquote

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


class BadRequest(Exception):  # noqa: N818 - the name of the status
    """A request that is no CloudEvent at all; `status` is the HTTP status to answer."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def to_batch(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the JSON array or the one event of a request, not yet checked.

    Raises:
        BadRequest: the content type is none of the three forms, or that of the data of a
            binary event is not JSON (415).
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
    return json.dumps(event).encode()[:-1] + b', "data": ' + (body or b"{}") + b"}"
