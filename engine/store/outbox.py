"""The life of a delivery: it waits until its receiver said yes, or no for good.

Source of the waiting times: full jitter, "Exponential Backoff And Jitter", AWS Architecture
Blog, 2015.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from engine.model.delivery import Delivery, Receipt
from engine.model.instant import MICROS
from engine.model.moves import after

BASE_US = MICROS
CAP_US = 300 * MICROS
GIVE_UP_AFTER = timedelta(hours=72)
_DOUBLINGS = 9
"""After so many the cap is reached."""


class DeliveryState(StrEnum):
    """Where a delivery stands. Only given_up can be left again, by a person's replay."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class DeliveryEvent(StrEnum):
    """What an attempt, time, or a person does to a delivery."""

    ACCEPTED = "accepted"
    RETRYABLE = "retryable"
    REJECTED = "rejected"
    EXPIRED = "expired"
    REPLAYED = "replayed"


MOVES: Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (DeliveryState.WAITING, DeliveryEvent.ACCEPTED): DeliveryState.SENT,
    (DeliveryState.WAITING, DeliveryEvent.RETRYABLE): DeliveryState.WAITING,
    (DeliveryState.WAITING, DeliveryEvent.REJECTED): DeliveryState.GIVEN_UP,
    (DeliveryState.WAITING, DeliveryEvent.EXPIRED): DeliveryState.GIVEN_UP,
    (DeliveryState.GIVEN_UP, DeliveryEvent.REPLAYED): DeliveryState.WAITING,
}


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery as the outbox holds it; instants are wall clock, aware UTC.

    Attributes:
        since: start of the 72 hours: when it was made, or replayed.
        due: when it may be tried next.
        error: of the last attempt; for a dead letter why it was given up.
        receipt: what the receiver answered.
    """

    delivery: Delivery
    state: DeliveryState
    attempts: int
    created: datetime
    since: datetime
    due: datetime
    ended: datetime | None
    error: str
    receipt: Receipt


class Backlog(NamedTuple):
    """What waits for one sink: how many, and since when the oldest does."""

    waiting: int = 0
    oldest: datetime | None = None


def move(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Return the state after `event`.

    Raises:
        IllegalMove: the table has no such move.
    """
    return after(MOVES, "delivery", state, event)


def backoff_us(attempts: int, chance: float, retry_after_s: float | None) -> int:
    """Return the microseconds to wait after the `attempts`-th attempt failed.

    Args:
        attempts: attempts made so far, from 1.
        chance: in [0, 1), the jitter.
        retry_after_s: what the receiver asked for, the least to wait.
    """
    ceiling = min(CAP_US, BASE_US << min(max(attempts - 1, 0), _DOUBLINGS))
    return max(int(ceiling * chance), int((retry_after_s or 0) * MICROS))
