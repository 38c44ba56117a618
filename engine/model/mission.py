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
    """Where a mission stands; done and cancelled are final, failed can be resumed.

    waiting: at a gate, until its changes are settled or its deadline has come.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MissionEvent(StrEnum):
    """What moves a mission.

    claim: a worker took it. finish: its report stands. fail: it has no good result.
    crash: its worker died before either. release: its worker stopped in good order.
    wait: a leg of it ended at a gate. wake: what it waited for is there, or its deadline.
    cancel, resume: a person said so.
    """

    CLAIM = "claim"
    FINISH = "finish"
    FAIL = "fail"
    CRASH = "crash"
    RELEASE = "release"
    WAIT = "wait"
    WAKE = "wake"
    CANCEL = "cancel"
    RESUME = "resume"


MOVES: Mapping[tuple[MissionState, MissionEvent], MissionState] = {
    (MissionState.QUEUED, MissionEvent.CLAIM): MissionState.RUNNING,
    (MissionState.QUEUED, MissionEvent.FAIL): MissionState.FAILED,
    (MissionState.RUNNING, MissionEvent.FINISH): MissionState.DONE,
    (MissionState.RUNNING, MissionEvent.FAIL): MissionState.FAILED,
    (MissionState.RUNNING, MissionEvent.CRASH): MissionState.QUEUED,
    (MissionState.RUNNING, MissionEvent.RELEASE): MissionState.QUEUED,
    (MissionState.RUNNING, MissionEvent.WAIT): MissionState.WAITING,
    (MissionState.WAITING, MissionEvent.WAKE): MissionState.QUEUED,
    (MissionState.WAITING, MissionEvent.FAIL): MissionState.FAILED,
    (MissionState.QUEUED, MissionEvent.CANCEL): MissionState.CANCELLED,
    (MissionState.RUNNING, MissionEvent.CANCEL): MissionState.CANCELLED,
    (MissionState.WAITING, MissionEvent.CANCEL): MissionState.CANCELLED,
    (MissionState.FAILED, MissionEvent.RESUME): MissionState.QUEUED,
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
        phase, total_phases: which leg it is at, from 1; every gate passed is one more.
        wake_at: the deadline of its gate, None where it stands at none.
        mode, approval: what it may do (see engine.model.change_row), report: nothing.
        targets: which clusters, where not `clusters`: names, groups, labels, all, exclude.
        requester: who asked for it: `rule:NAME`, or the name of a user of the policy.
        advise: off, explain or rank: what the model may add.
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
    phase: int = 1
    total_phases: int = 1
    wake_at: datetime | None = None
    mode: str = "report"
    approval: str = "person"
    targets: Mapping[str, Any] = field(default_factory=dict)
    requester: str = ""
    advise: str = "off"
