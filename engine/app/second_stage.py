"""What the engine itself tells the second stage: that time passes, and which missions ended.

Missions are read from the store, where their end is durable: one that ended just before a crash
is told after it. A mission told twice has one id, so that it counts once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from engine.app.calling import called
from engine.model.change_state import ChangeState
from engine.model.errors import StoreError
from engine.model.instant import from_us, to_us
from engine.model.mission import MissionRow
from engine.model.ports import Clock
from engine.model.report import Outcome
from engine.model.signal import Signal
from engine.store.store import Store
from engine.stream.orders import ENDED

LOG = structlog.get_logger()
CLOCK_S: Final = 5.0
MARGIN: Final = timedelta(minutes=30)
"""How far the clocks of who ends missions and who tells of it may be apart, or jump back.

What is told twice, because another process told it before, has one id: it counts once.
"""
_ABOUT: Final = ("cluster", "namespace", "workload")
Append = Callable[[Sequence[Signal]], Awaitable[object]]


class Chronicler:
    """Hands signals of the second stage to `append`, which makes them durable, until cancelled.

    `since_us`: stream time of the second stage; missions that ended long before it were told.
    """

    def __init__(self, store: Store, append: Append, clock: Clock, since_us: int | None) -> None:
        self._store = store
        self._append = append
        self._clock = clock
        now = clock.now()
        self._since = now if since_us is None else min(now, from_us(since_us))
        self._told: set[str] = set()
        self._called = asyncio.Event()
        self._refused = False

    def call(self) -> None:
        """Say that a mission ended."""
        self._called.set()

    async def run(self) -> None:
        """Tell what happened at once, and that time passes every CLOCK_S."""
        while True:
            try:
                await self.tell()
                self._refused = False
            except StoreError as error:
                if not self._refused:
                    LOG.warning("bus refuses", of="second stage", error=str(error))
                self._refused = True
            await called(self._called, CLOCK_S)

    async def tell(self) -> None:
        """Put the missions that ended since the last time, and the time, on the bus.

        Raises:
            StoreError: the store or the bus refused; the next call tells the same.
        """
        now = self._clock.now()
        recent = await asyncio.to_thread(self._store.ended, self._since - MARGIN)
        new = [name for name in recent if name not in self._told]
        rows = [await asyncio.to_thread(self._store.mission, name) for name in new]
        ends = [mission_signal(row) for row in rows if row is not None]
        await self._append([*ends, clock_signal(now)])
        self._told = set(recent)
        self._since = now


async def keep_time(append: Append, clock: Clock) -> None:
    """Tell a log of the first stage that time passes, every CLOCK_S, for ever."""
    while True:
        # A bus that refuses says so itself, and the next beat says all that this one would.
        with suppress(StoreError):
            await append([clock_signal(clock.now())])
        await asyncio.sleep(CLOCK_S)


def clock_signal(now: datetime) -> Signal:
    """Return the signal that says what time it is."""
    return Signal(id=f"clock@{to_us(now)}", source="dogwatch/clock", type="clock", time=now)


def mission_signal(row: MissionRow) -> Signal:
    """Return the signal of a mission that ended.

    Its end is verified where the whole assessment found nothing wrong (any more), or where
    something was changed and all of it is verified. One that is resumed has another end.
    """
    names = tuple(row.report.clusters) if row.report else row.clusters
    clusters = names if len(names) == 1 else ()
    about: dict[str, Any] = {**dict(zip(("cluster",), clusters, strict=False)), **row.key}
    data: dict[str, Any] = {
        "mission": row.id,
        "kind": row.kind,
        "outcome": row.outcome or row.state.value,
        "verified": _verified(row),
        "rule": row.rule,
        "firing": row.firing,
        **{name: about[name] for name in _ABOUT if name in about},
        "depth": row.depth,
        "next": [one.model_dump(mode="json") for one in row.report.next] if row.report else [],
        "summary": row.report.summary if row.report else row.reason,
    }
    return Signal(
        id=f"{ENDED}{row.id}/{row.epoch}",
        source="dogwatch/missions",
        type="mission",
        time=row.finished or row.created,
        data=data,
    )


def _verified(row: MissionRow) -> bool:
    if row.outcome == Outcome.OK:
        return True
    # A mission with a change that was applied and is not verified has the outcome unverified.
    ended_well = row.outcome in {Outcome.FINDINGS, Outcome.PARTIAL}
    applied = row.report.applied if row.report else []
    return ended_well and any(one.state == ChangeState.VERIFIED for one in applied)
