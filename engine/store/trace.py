"""Trace: the whole path of anything, from the signal to the receiver's answer."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, or_, select

from engine.model.instant import from_us
from engine.store.change_trace import changes_of, forgotten, mission_of
from engine.store.database import Database
from engine.store.record import Record, fields, iso
from engine.store.schema import deliveries, firings, journal, missions, signals, transitions

__all__ = ["Record", "Trace"]


class Trace(Database):
    """The part of the store that answers `dogwatch show ID`."""

    def signal(self, wanted: str) -> bytes | None:
        """Return the record of a signal that decided something, None where it is not kept."""
        with self.read() as connection:
            query = select(signals.c.record).where(signals.c.id == wanted)
            return connection.execute(query).scalar()

    def trace(self, wanted: str) -> list[Record]:
        """Return the path that the id `wanted` lies on, causes before what they caused.

        `wanted` is the id of a signal, firing, mission, change, delivery or finding; the list
        is empty where nothing has it. A signal that no firing came of is not kept.
        """
        with self.read() as connection:
            own, lone = _roots(connection, wanted)
            found: list[Record] = []
            for firing in own:
                found.extend(_of_firing(connection, firing))
            for mission in lone:
                found.extend(_of_mission(connection, mission))
            found = found or list(forgotten(connection, wanted))
            return list({record.own: record for record in found}.values())


def _roots(connection: Connection, wanted: str) -> tuple[list[str], list[Row[Any]]]:
    """Return the firings that `wanted` belongs to, and the missions that have no firing."""
    own = _ids(connection, firings, or_(firings.c.id == wanted, firings.c.cause == wanted))
    own += connection.execute(
        select(transitions.c.firing).where(transitions.c.cause == wanted)
    ).scalars()
    named = (deliveries.c.key == wanted) | (deliveries.c.message == wanted)
    told = connection.execute(select(deliveries).where(named)).all()
    lost = deliveries.c.key.in_([row.incident for row in told])  # where `wanted` is a notice of it
    told = [*told, *connection.execute(select(deliveries).where(lost))]
    own += [row.incident for row in told]
    named_missions = [wanted, mission_of(connection, wanted), *(row.mission for row in told)]
    match: ColumnElement[bool] = missions.c.id.in_(named_missions)
    if wanted.startswith("x-"):
        match = or_(match, missions.c.report.contains(f'"{wanted}"', autoescape=True))
    runs = connection.execute(select(missions).where(match).order_by(missions.c.seq)).all()
    own += [row.firing for row in runs]
    held = _ids(connection, firings, firings.c.id.in_(own))
    return held, [row for row in runs if row.firing not in held]


def _ids(connection: Connection, table: Table, where: Any) -> list[str]:
    query = select(table.c.id).where(where).order_by(table.c.opened_at, table.c.id)
    return list(connection.execute(query).scalars())


def _of_firing(connection: Connection, firing: str) -> Iterator[Record]:
    row = connection.execute(select(firings).where(firings.c.id == firing)).one()
    moves = select(transitions).where(transitions.c.firing == firing)
    history = connection.execute(moves.order_by(transitions.c.seq)).all()
    yield from _causes(connection, [row.cause, *(move.cause for move in history)])
    what = fields(row, "rule", "key", "state", "value", "reason", "members", "labels")
    yield Record("firing", firing, row.cause, from_us(row.opened_at), what)
    for move in history:
        what = fields(move, "state", "reason", "value", "cause")
        yield Record("transition", firing, firing, from_us(move.at), what)
    told = and_(deliveries.c.incident == firing, deliveries.c.mission == "")
    yield from _deliveries(connection, told, firing)
    runs = select(missions).where(missions.c.firing == firing).order_by(missions.c.seq)
    for run in connection.execute(runs).all():
        yield from _of_mission(connection, run)


def _causes(connection: Connection, ids: Iterable[str]) -> Iterator[Record]:
    named = [name for name in dict.fromkeys(ids) if name]
    query = select(signals.c.id, signals.c.record).where(signals.c.id.in_(named))
    kept = dict(connection.execute(query).all())
    for name in named:
        if name in kept:
            event = json.loads(kept[name])[0]
            yield Record("signal", name, "", datetime.fromisoformat(event["time"]), event)


def _of_mission(connection: Connection, row: Row[Any]) -> Iterator[Record]:
    what = fields(row, "kind", "params", "rule", "clusters", "state", "outcome", "reason", "phase")
    times = {"crashes": row.crashes, "started": iso(row.started_at), "wakes": iso(row.wake_at)}
    yield Record("mission", row.id, row.firing, from_us(row.created_at), {**what, **times})
    steps = select(journal).where(journal.c.mission == row.id).order_by(journal.c.at)
    for step in connection.execute(steps).all():
        yield Record("step", row.id, row.id, from_us(step.at), fields(step, "step", "result"))
    if row.report is not None:
        report = json.loads(row.report)
        at = datetime.fromisoformat(report["finished"])
        yield Record("report", row.id, row.id, at, report)
    yield from changes_of(connection, row.id)
    yield from _deliveries(connection, deliveries.c.mission == row.id, row.id)


def _deliveries(
    connection: Connection, which: ColumnElement[bool], parent: str
) -> Iterator[Record]:
    """Yield the deliveries that are `which`, each with the notices of its own loss."""
    query = select(deliveries).where(which).order_by(deliveries.c.seq)
    for row in connection.execute(query).all():
        what = fields(row, "sink", "change", "state", "attempts", "error", "detail")
        times = {"ended": iso(row.ended_at), "due": iso(row.next_at)}
        yield Record("delivery", row.key, parent, from_us(row.created_at), {**what, **times})
        yield from _deliveries(connection, deliveries.c.incident == row.key, row.key)
