"""Turn: one look of the writer at one change, and what may come of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeAlias, TypeVar

from engine.analysis.text import clean
from engine.changes.means import Means
from engine.changes.policy import Policy
from engine.model.change import Change, ProbeResult
from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeEvent
from engine.model.delivery import Delivery
from engine.model.errors import ClusterError, DogwatchError
from engine.model.moved import Moved
from engine.model.ports import Writer

SOONEST_S: Final = 5.0
LATEST_S: Final = 60.0
"""Bounds of the pause before the same is tried again; it doubles in between."""
PATIENCE_S: Final = 600.0
"""How long a step is tried again while a cluster does not answer."""

NOT_DONE: Final = frozenset(
    {"conflict", "invalid", "refused", "blocked", "forbidden", "not-found", "unauthorized"}
)
"""Reasons with which a server turns a request away for good; of any other it is not known."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Go:
    """It moves by `event`."""

    event: ChangeEvent
    moved: Moved = field(default_factory=Moved)


@dataclass(frozen=True)
class Wait:
    """It stays where it is; looked at again at `until`."""

    until: datetime
    results: tuple[ProbeResult, ...] | None = None
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True)
class Again:
    """Something was written to the store: the row is read anew, and it goes on at once."""


Result: TypeAlias = Go | Wait | Again


class Halt(DogwatchError):  # noqa: N818 - what happened is its name
    """A check says no: the change would move by `event`.

    `change` is what it would have been, for people to see, where it was worked out.
    """

    def __init__(self, event: ChangeEvent, why: str, change: Change | None = None) -> None:
        self.event = event
        self.change = change
        super().__init__(why)


class Astray(Halt):
    """A fault of our own on what was read, such as a kind that an odd object led astray."""

    def __init__(self, error: Exception) -> None:
        name = type(error).__name__
        why = f"it could not be judged, a fault of its own: {name}: {clean(str(error), 200)}"
        super().__init__(ChangeEvent.REFUSE, why)


@dataclass(frozen=True)
class Turn:
    """One look at one change: `row` as it stands, `policy` as it is in force.

    `now` is when it began; what takes time asks the clock of `means` anew.
    """

    row: ChangeRow
    means: Means
    policy: Policy
    epoch: int
    now: datetime

    @property
    def change(self) -> Change:
        """What was worked out. Raises DogwatchError where nothing was yet."""
        if self.row.change is None:
            raise DogwatchError(f"change {self.row.id} is {self.row.state}, and has no body")
        return self.row.change

    @property
    def since(self) -> datetime:
        """When it came to the state that it is in."""
        return self.row.changed or self.row.created

    def writer(self) -> Writer:
        """Return who may write what the change needs.

        Raises:
            ClusterError: `config`, nobody may, as the configuration is by now.
        """
        return self.means.writer(self.row.draft.target.cluster, self.row.draft.kind)

    def again(self) -> Wait:
        """Return a pause that doubles for as long as the state lasts."""
        lasted = (self.now - self.since).total_seconds()
        return self.wait(min(max(lasted, SOONEST_S), LATEST_S))

    def wait(self, seconds: float) -> Wait:
        """Return a pause of so many seconds from now."""
        return Wait(self.means.clock.now() + timedelta(seconds=seconds))

    def over(self, seconds: float) -> bool:
        """Whether the state has lasted longer than so many seconds."""
        return self.now >= self.since + timedelta(seconds=seconds)

    def expired(self) -> bool:
        """Whether an approval comes too late, or is too old by now."""
        return self.row.expires is not None and self.now >= self.row.expires


async def ask(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Ask the store, beside the loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


def said(error: ClusterError) -> str:
    """Return what a server said, with the stable word first."""
    return f"{error.reason}: {error}"
