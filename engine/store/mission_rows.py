"""Rows of missions: how they are written and read."""

from typing import Any

from sqlalchemy import Row

from engine.model.ids import digest
from engine.model.instant import from_us, to_us
from engine.model.mission import MissionRow, MissionState
from engine.model.report import Report
from engine.store.unreadable import UNREADABLE, unread


def mission_values(row: MissionRow, parent: str = "") -> dict[str, Any]:
    """Return the columns of a mission that is new; `parent` is the one whose end launched it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "params": dict(row.params),
        "rule": row.rule,
        "firing": row.firing,
        "key": dict(row.key),
        "clusters": list(row.clusters),
        "state": row.state.value,
        "outcome": row.outcome,
        "reason": row.reason,
        "crashes": row.crashes,
        "depth": row.depth,
        "owner": row.owner,
        "created_at": to_us(row.created),
        "phase": row.phase,
        "total_phases": row.total_phases,
        "mode": row.mode,
        "approval": row.approval,
        "targets": dict(row.targets),
        "requester": row.requester,
        "advise": row.advise,
        "parent": parent,
        "sameness": digest([row.kind, dict(row.params), sorted(row.clusters), dict(row.targets)]),
    }


def mission_row(row: Row[Any]) -> MissionRow:
    """Return a row of the table as what it stands for.

    One whose report can not be read is there without it; its reason says so.
    """
    report, why = _report(row)
    return MissionRow(
        id=row.id,
        kind=row.kind,
        params=row.params,
        created=from_us(row.created_at),
        rule=row.rule,
        firing=row.firing,
        key=row.key,
        clusters=tuple(row.clusters),
        state=MissionState(row.state),
        outcome=row.outcome,
        reason=row.reason or why,
        crashes=row.crashes,
        depth=row.depth,
        owner=row.owner,
        epoch=row.epoch,
        started=None if row.started_at is None else from_us(row.started_at),
        finished=None if row.finished_at is None else from_us(row.finished_at),
        report=report,
        phase=row.phase,
        total_phases=row.total_phases,
        wake_at=None if row.wake_at is None else from_us(row.wake_at),
        mode=row.mode,
        approval=row.approval,
        targets=row.targets,
        requester=row.requester,
        advise=row.advise,
    )


def _report(row: Row[Any]) -> tuple[Report | None, str]:
    """Return the report of a mission, or why it can not be read."""
    try:
        return (None if row.report is None else Report.model_validate_json(row.report)), ""
    except UNREADABLE as error:
        return None, unread("mission", row.id, error)
