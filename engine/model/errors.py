"""The error tree. Each error says where, what was found and what is allowed."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.series import Series


class DogwatchError(Exception):
    """Anything that dogwatch refuses or could not do, in one line fit for a person."""


class ConfigError(DogwatchError):
    """The configuration was refused; the message holds every fault, one a line."""


class RuleError(DogwatchError):
    """A rule set was refused; `faults` holds every fault found."""

    def __init__(self, faults: "list[Fault]") -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class SnapshotError(DogwatchError):
    """A snapshot lacks what was asked of it, or could not be read."""


class StoreError(DogwatchError):
    """The store refused a read or a write."""


class Overloaded(DogwatchError):
    """Signals were not taken, as too many wait; `retry_s`: when to send them again."""

    def __init__(self, message: str, *, retry_s: int) -> None:
        self.retry_s = retry_s
        super().__init__(message)


class Fenced(StoreError):
    """Somebody with a newer epoch owns this partition: drop the state, never retry."""


class IllegalMove(DogwatchError):
    """A state machine was asked for a move that its table does not have."""


class Refused(DogwatchError):
    """A decision, or an order of a person, that does not count; the message says why."""


class Frozen(Refused):
    """A freeze is in force: nothing was written, and nothing is to be begun before its end."""


class ClusterError(DogwatchError):
    """A cluster did not answer, or answered no; `reason` is a short stable word.

    `retry_after_s` is how long the server asked to be left alone, None if it did not.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(message)


class MetricsError(DogwatchError):
    """A source of metrics did not answer, or answered no; `reason` is a short stable word.

    unreachable, timeout, unauthorized, refused (4xx, such as 422 for a wrong expression),
    unavailable (5xx, or not all that was asked for), throttled, malformed, too-large. `partial`
    is what came nevertheless.
    """

    def __init__(self, reason: str, message: str, *, partial: "Sequence[Series]" = ()) -> None:
        self.reason = reason
        self.partial = partial
        super().__init__(message)


class DesiredError(DogwatchError):
    """A desired state could not be fetched or rendered; `reason` is a short stable word.

    unreachable, timeout, unauthorized, not-found, too-large, malformed, refused, unavailable (a
    program is not installed).
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Retryable(DogwatchError):
    """A delivery may succeed later (429, 5xx, timeout, no connection)."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Rejected(DogwatchError):
    """A delivery will never succeed as it is (other 4xx): dead letter at once."""


@dataclass(frozen=True, order=True)
class Fault:
    """One fault in a file that a person wrote.

    `line` and `column` count from 1; severity is `error` or `warning`; `code` is a stable
    word for machines (sarif).
    """

    path: str
    line: int
    column: int
    message: str
    severity: str = "error"
    code: str = "invalid"

    def __str__(self) -> str:
        note = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.path}:{self.line}:{self.column} {note}{self.message}"


def nearest(word: str, known: "Iterable[str]") -> str:
    """Return `; did you mean 'x'?` for the known word nearest to `word`, or an empty text."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
