"""What a server's no means: one stable word, and the server's own sentence."""

import re
from typing import Any

import httpx
import msgspec

from engine.model.errors import ClusterError

MESSAGE = 300
_READ_BYTES = 4 << 20  # a whole object may be quoted

_REASONS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    406: "not-found",
    409: "conflict",
    410: "expired",
    422: "invalid",
    429: "throttled",
    504: "timeout",
}

# Admission says no with whatever code it likes; rights are refused in one form only.
_ADMISSION = re.compile(
    r"admission webhook \S+ (denied the request|does not support dry run)"
    r"|failed calling webhook"
    r"|ValidatingAdmissionPolicy \S+ with binding \S+ denied request"
    r'| is forbidden: (?!User ")'
)

# What is invalid is quoted, and that may be a whole object, values of a Secret included.
_WHOLE = re.compile(r'"\{(?:[^"\\]|\\.)*"')


async def refusal(response: httpx.Response, path: str) -> ClusterError:
    """Return the error that an answer other than a success stands for.

    `refused` is what admission turned away (a webhook, a policy, a quota), whatever its code,
    also a webhook that cannot be asked; `blocked` is an eviction that a budget forbids.
    """
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _READ_BYTES:
            break
    code, status = response.status_code, _status(body)
    said = _WHOLE.sub('"{...}"', " ".join(str(status["message"]).split()))
    wait = response.headers.get("Retry-After", "")
    return ClusterError(
        _reason(code, status, said),
        f"{path}: {code} {said.removeprefix(f'{code} ')[:MESSAGE]}",
        retry_after_s=float(wait) if wait.isascii() and wait.isdigit() else None,
    )


def _reason(code: int, status: dict[str, Any], said: str) -> str:
    if _ADMISSION.search(said):
        return "refused"
    if "DisruptionBudget" in _causes(status):
        return "blocked"
    if "metadata.uid" in _causes(status):
        return "conflict"  # a merge patch with another uid is told to be an invalid one
    server_error = code >= httpx.codes.INTERNAL_SERVER_ERROR
    return _REASONS.get(code, "unavailable" if server_error else "refused")


def _status(body: bytes) -> dict[str, Any]:
    """Return the Status, or one whose message is the beginning of whatever came."""
    try:
        status = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        status = {}
    return status if "message" in status else {"message": body.decode(errors="replace")}


def _causes(status: dict[str, Any]) -> set[str]:
    """Return the reasons and fields that a Status names as its causes."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    named = [cause for cause in causes or [] if isinstance(cause, dict)]
    return {str(cause.get(key, "")) for cause in named for key in ("reason", "field")}
