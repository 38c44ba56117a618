"""What an HTTP status or a failed exchange means for a delivery: one table for all sinks."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from engine.model.errors import Rejected, Retryable

MAX_WAIT_S = 86_400.0
"""The longest wait that a receiver may ask for."""

_LATER = frozenset({408, 425, 429})


class Verdict(StrEnum):
    """What to do with a delivery after an answer."""

    DONE = "done"
    RETRY = "retry"
    REJECT = "reject"


def verdict(status: int) -> Verdict:
    """Return what an HTTP `status` means.

    2xx is done. 408, 425, 429 and 5xx may succeed later. All else never will: 1xx and 3xx
    (redirects are not followed), other 4xx, and what is no HTTP status at all.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Verdict.DONE
    if status in _LATER or 500 <= status < 600:  # noqa: PLR2004
        return Verdict.RETRY
    return Verdict.REJECT


def judge(status: int, who: str, *, detail: str = "", retry_after_s: float | None = None) -> None:
    """Return if `status` means done.

    Args:
        status: of HTTP.
        who: the receiver as an error may name it; never a URL with a secret.
        detail: what the receiver said, already safe to show.
        retry_after_s: seconds that the receiver asked to wait.

    Raises:
        Retryable: it may succeed later.
        Rejected: it will not.
    """
    found = verdict(status)
    if found is Verdict.DONE:
        return
    message = f"{who} answered {status}" + (f": {detail}" if detail else "")
    if found is Verdict.RETRY:
        raise Retryable(message, retry_after_s=retry_after_s)
    raise Rejected(message)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds from `now` that a Retry-After header asks for, at most a day.

    Seconds and HTTP dates are understood; anything else is None, as is no header.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return min(max(0.0, (at - now).total_seconds()), MAX_WAIT_S)
