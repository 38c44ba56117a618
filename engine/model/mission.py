"""The life of a mission: its states, the one table of moves, and the row that is durable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.model.moves import after
from engine.model.report import Report

MAX_CRASHES = 5
"""A run that crashed its worker this often is not run again; it ends as failed."""


class MissionState(StrEnum):
    """Where a mission stands; done and failed are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class MissionEvent(StrEnum):
    """What moves a mission.

    claim: a worker took it. finish: its report stands. fail: it has no good result.
    crash: its worker died before either. release: its worker stopped in good order.
    """

    CLAIM = "claim"
    FINISH = "finish"
    FAIL = "fail"
    CRASH = "crash"
    RELEASE = "release"


MOVES: Mapping[tuple[MissionState, MissionEvent], MissionState] = {
    (MissionState.QUEUED, MissionEvent.CLAIM): MissionState.RUNNING,
    (MissionState.QUEUED, MissionEvent.FAIL): MissionState.FAILED,
    (MissionState.RUNNING, MissionEvent.FINISH): MissionState.DONE,
    (MissionState.RUNNING, MissionEvent.FAIL): MissionState.FAILED,
    (MissionState.RUNNING, MissionEvent.CRASH): MissionState.QUEUED,
    (MissionState.RUNNING, MissionEvent.RELEASE): MissionState.QUEUED,
}


def move(state: MissionState, event: MissionEvent) -> MissionState:
    """Return the state after `event`.

    Raises:
        IllegalMove: the table has no such move.
    """
    return after(MOVES, "mission", state, event)


@dataclass(frozen=True)
class MissionRow:
    """One mission as the store holds it.

    Attributes:
        firing: id of the firing that launched it, empty for a person's run.
        key: group key of that firing.
        clusters: names, frozen at the start; empty stands for all.
        outcome: of the report (see engine.model.report.Outcome), empty before.
        reason: why it failed, where there is no report.
        crashes: workers that died over it.
        depth: how many missions and changes lead to it, itself included; 0: a person's run.
        owner: worker that runs it.
        epoch: how often it changed hands; who writes to it has to know.
        created, started, finished: aware UTC.
    """

    id: str
    kind: str
    params: Mapping[str, Any]
    created: datetime
    rule: str = ""
    firing: str = ""
    key: Mapping[str, str] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()
    state: MissionState = MissionState.QUEUED
    outcome: str = ""
    reason: str = ""
    crashes: int = 0
    depth: int = 0
    owner: str = ""
    epoch: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    report: Report | None = None
