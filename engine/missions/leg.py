"""A leg of a mission: it collects, runs and proposes, and ends at a gate or for good.

What it proposes is decided and done elsewhere. A decision or the deadline of the gate begins the
next leg, which looks anew; the mission is a row in the store in between, and no code waits.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.missions.ending import ended
from engine.missions.propose import changeable, drafts
from engine.missions.registry import kinds
from engine.missions.run import Means, failed, run
from engine.model.change import Draft
from engine.model.change_row import ChangeRow
from engine.model.mission import MissionRow
from engine.model.report import Outcome, Report

ENGINE: Final = "engine"
"""Who takes back what was not decided in time."""
UNDER_WAY: Final = timedelta(minutes=10)
"""How much longer a gate waits for a change that is being made at its deadline: no phase of it."""


@dataclass(frozen=True)
class LegEnd:
    """How a leg ended: for good, or with `wake_at` at a gate, which waits for `proposed`."""

    report: Report
    proposed: tuple[Draft, ...] = ()
    wake_at: datetime | None = None


async def leg(mission: MissionRow, means: Means) -> LegEnd:
    """Run one leg of `mission`, from its last journaled step on.

    Raises:
        StoreError: the journal refuses; the same leg may be run again.
        Fenced: somebody else runs this mission now, or it was cancelled.
    """
    rows = await _changes(mission, means)
    if not all(row.settled for row in rows):
        waiting = mission.report or failed(mission, "its changes do not end", means.clock.now())
        return LegEnd(waiting, wake_at=means.clock.now() + UNDER_WAY)
    found = await run(mission, means)
    proposed: Sequence[Draft] = ()
    barred: tuple[str, ...] = ()
    if found.outcome is not Outcome.FAILED and mission.mode != "report":
        kind = kinds()[mission.kind]
        able, barred = changeable(found, kind, means.changeable)
        proposed = drafts(mission, kind, able, rows)
    report = ended(found, mission, rows, proposed, barred)
    if not proposed:
        return LegEnd(report)
    return LegEnd(report, tuple(proposed), means.clock.now() + timedelta(seconds=means.gate_s))


async def _changes(mission: MissionRow, means: Means) -> Sequence[ChangeRow]:
    """Return what the legs before proposed; what nobody decided in time is taken back."""
    if mission.phase == 1:
        return ()
    journal = means.journal

    def read() -> Sequence[ChangeRow]:
        rows = journal.changes(mission=mission.id)
        if all(row.settled for row in rows):
            return rows
        journal.withdraw(mission.id, ENGINE, means.clock.now(), means.tell)
        return journal.changes(mission=mission.id)

    return await asyncio.to_thread(read)
