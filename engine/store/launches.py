"""Launches: each queues one mission, and a chain of missions stays within its bounds."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, exists, func, select

from engine import failpoint
from engine.failpoint import Point
from engine.model.firing import Launch
from engine.model.instant import MICROS, from_us
from engine.model.mission import MissionRow
from engine.store.dialect import hold, insert_new
from engine.store.mission_rows import mission_values
from engine.store.schema import missions

FAN_OUT: Final = 10
"""Missions that the end of one mission launches, at most."""
SAME_WITHIN_US: Final = 24 * 3600 * MICROS
"""In this time a chain does not launch the same kind with the same params and clusters again."""
RULE: Final = "rule:"
"""What a requester begins with that is no person."""


class Refusal(NamedTuple):
    """A launch of a chain that was left out, and why."""

    mission: str
    kind: str
    why: str


class Launched(NamedTuple):
    """What came of launches: ids of missions that are new, and those left out."""

    new: tuple[str, ...]
    refused: tuple[Refusal, ...]


def add_launches(connection: Connection, launches: Iterable[Launch], now_us: int) -> Launched:
    """Queue the missions that are new; those of a chain only within its bounds."""
    rows: list[dict[str, Any]] = []
    new: list[str] = []
    refused = []
    for launch in launches:
        row = _row(launch, now_us)
        if launch.parent:
            new += _insert(connection, rows)  # so that it is counted with those before it
            rows = []
            row["requester"] = _asked(connection, launch.parent) or row["requester"]
            if why := _too_much(connection, launch, row["sameness"], now_us):
                refused.append(Refusal(launch.mission, launch.kind, why))
                continue
        rows.append(row)
    new += _insert(connection, rows)
    return Launched(tuple(new), tuple(refused))


def _row(launch: Launch, now_us: int) -> dict[str, Any]:
    row = MissionRow(
        id=launch.mission,
        kind=launch.kind,
        params=launch.params,
        created=from_us(now_us),
        rule=launch.rule,
        firing=launch.firing,
        key=launch.key,
        clusters=launch.clusters,
        depth=launch.depth,
        mode=launch.mode,
        approval=launch.approval,
        targets=launch.targets,
        requester=f"{RULE}{launch.rule}",
        advise=launch.advise,
    )
    return mission_values(row, launch.parent)


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    with failpoint.around(Point.MISSION_ROW):
        return insert_new(connection, missions, rows, "id")


def _asked(connection: Connection, parent: str) -> str:
    """Return who ran the mission with which the chain began, empty where no person did.

    They are the one who asked for what follows, and do not approve it.
    """
    query = select(missions.c.requester).where(missions.c.id == parent)
    requester = connection.execute(query).scalar() or ""
    return "" if requester.startswith(RULE) else str(requester)


def _too_much(connection: Connection, launch: Launch, sameness: str, now_us: int) -> str:
    """Return why a chain must not launch this now; one that is there already may come again."""
    hold(connection, sameness, launch.parent)
    if connection.execute(select(exists().where(missions.c.id == launch.mission))).scalar():
        return ""
    since = missions.c.created_at > now_us - SAME_WITHIN_US
    same = select(missions.c.id).where(missions.c.sameness == sameness, since).limit(1)
    if (earlier := connection.execute(same).scalar()) is not None:
        return f"the same was launched within 24 h: {earlier}"
    own = missions.c.parent == launch.parent
    if connection.execute(select(func.count()).where(own)).scalar_one() >= FAN_OUT:
        return f"{FAN_OUT} missions were launched by {launch.parent} already"
    return ""
