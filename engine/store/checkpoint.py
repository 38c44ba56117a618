"""Checkpoints: how far the log was folded, and all that came of it, in one transaction."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update

from engine.model.delivery import Delivery
from engine.model.errors import Fenced, StoreError
from engine.model.firing import Launch, Transition
from engine.store.database import Database
from engine.store.deliveries import add_deliveries
from engine.store.dialect import insert_missing, upsert
from engine.store.firings import apply_transitions
from engine.store.missions import add_launches
from engine.store.quarantine import Quarantined, add_quarantined
from engine.store.schema import evaluator_state, partitions, signals

__all__ = ["Checkpoint", "Checkpoints", "Commit", "Committed", "Quarantined"]


@dataclass(frozen=True)
class Checkpoint:
    """Where to go on: the next offset, the evaluator's state, the digest of its rules."""

    next_offset: int = 0
    state: dict[str, bytes] = field(default_factory=dict)
    rules: str = ""


@dataclass(frozen=True)
class Commit:
    """What was folded since the last checkpoint.

    Attributes:
        state: keys touched; None deletes the key.
        signals: id -> record of one signal, for the signals that are causes.
        labels: rule -> labels, kept with its firings.
    """

    next_offset: int
    state: Mapping[str, bytes | None] = field(default_factory=dict)
    rules: str = ""
    transitions: Sequence[Transition] = ()
    launches: Sequence[Launch] = ()
    deliveries: Sequence[Delivery] = ()
    quarantined: Sequence[Quarantined] = ()
    signals: Mapping[str, bytes] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Committed:
    """Ids of what this commit wrote first; a replay finds its own rows and adds none."""

    new_firings: tuple[str, ...] = ()
    new_missions: tuple[str, ...] = ()
    new_deliveries: tuple[str, ...] = ()


class Checkpoints(Database):
    """The evaluator's part of the store."""

    def claim(self, partition: int) -> int:
        """Take `partition`; return the epoch that refuses every writer before this one."""
        with self.write() as connection:
            at = _position(connection, partition)
            row = (1, 0, "") if at is None else (at[0] + 1, at[1], at[2])
            upsert(connection, partitions, [_row(partition, *row)])
            return row[0]

    def load(self, partition: int) -> Checkpoint:
        """Return the last checkpoint of `partition`, an empty one where there is none.

        Raises:
            StoreError: what is stored is not what was written.
        """
        with self.read() as connection:
            at = _position(connection, partition)
            rows = connection.execute(
                select(
                    evaluator_state.c.key, evaluator_state.c.value, evaluator_state.c.checksum
                ).where(evaluator_state.c.partition == partition)
            ).all()
        for key, value, checksum in rows:
            if _sum(key, value) != checksum:
                raise StoreError(f"{self._path}: state '{key}' is damaged; restore a backup")
        state = {key: value for key, value, _ in rows}
        return Checkpoint(at[1], state, at[2]) if at else Checkpoint(state=state)

    def commit(self, partition: int, epoch: int, commit: Commit) -> Committed:
        """Write `commit` whole; rows that exist already are left as they are.

        Raises:
            Fenced: a newer epoch was claimed; nothing was written.
            StoreError: nothing was written; the same commit may be tried again.
        """
        now = self.now_us()
        with self.write() as connection:
            _advance(connection, partition, epoch, commit)
            _save_state(connection, partition, commit.state)
            causes = [{"id": i, "record": r, "kept_at": now} for i, r in commit.signals.items()]
            insert_missing(connection, signals, causes)
            add_quarantined(connection, partition, commit.quarantined, now)
            return Committed(
                tuple(apply_transitions(connection, commit.transitions, commit.labels)),
                tuple(add_launches(connection, commit.launches, now)),
                tuple(add_deliveries(connection, commit.deliveries, now)),
            )


def _position(connection: Connection, partition: int) -> tuple[int, int, str] | None:
    """Return (epoch, next offset, rules) of `partition`. Raises StoreError when damaged."""
    found = connection.execute(
        select(partitions).where(partitions.c.partition == partition).with_for_update()
    ).one_or_none()
    if found is None:
        return None
    at = (found.epoch, found.next_offset, found.rules)
    if _sum(*at) != found.checksum:
        place = connection.engine.url.database
        raise StoreError(f"{place}: checkpoint {partition} is damaged; restore a backup")
    return at


def _row(partition: int, epoch: int, next_offset: int, rules: str) -> dict[str, int | str]:
    return {
        "partition": partition,
        "epoch": epoch,
        "next_offset": next_offset,
        "rules": rules,
        "checksum": _sum(epoch, next_offset, rules),
    }


def _advance(connection: Connection, partition: int, epoch: int, commit: Commit) -> None:
    at = _position(connection, partition)
    held = at[0] if at else 0
    if held != epoch:
        raise Fenced(f"partition {partition} has epoch {held}, this writer {epoch}: it lost it")
    row = _row(partition, epoch, commit.next_offset, commit.rules)
    connection.execute(update(partitions).where(partitions.c.partition == partition).values(row))


def _save_state(connection: Connection, partition: int, state: Mapping[str, bytes | None]) -> None:
    kept = [
        {"partition": partition, "key": key, "value": value, "checksum": _sum(key, value)}
        for key, value in state.items()
        if value is not None
    ]
    upsert(connection, evaluator_state, kept)
    gone = [key for key, value in state.items() if value is None]
    for part in _parts(gone):
        connection.execute(
            delete(evaluator_state).where(
                evaluator_state.c.partition == partition, evaluator_state.c.key.in_(part)
            )
        )


def _parts(keys: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _sum(*parts: bytes | str | int) -> int:
    checksum = 0
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        checksum = zlib.crc32(b"%d:" % len(content) + content, checksum)
    return checksum
