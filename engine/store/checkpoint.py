"""Checkpoints: how far the log was folded, and all that came of it, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from engine import failpoint
from engine.failpoint import Point
from engine.model.delivery import Delivery
from engine.model.firing import Launch, Transition
from engine.store.conditions import add_conditions
from engine.store.database import Database, retried
from engine.store.deliveries import add_deliveries
from engine.store.dialect import insert_missing
from engine.store.evaluator_state import load_state, save_state
from engine.store.firings import apply_transitions
from engine.store.launches import Refusal, add_launches
from engine.store.partitions import Position, checked, claimed, move, owned, position
from engine.store.quarantine import Quarantined, add_quarantined
from engine.store.schema import partitions, signals

__all__ = ["Checkpoint", "Checkpoints", "Commit", "Committed", "Position", "Quarantined"]


@dataclass(frozen=True)
class Checkpoint:
    """Where to go on: the next offset, the evaluator's state, the digest of its rules.

    `appended_us` is when the record before came onto the bus (see Position).
    """

    next_offset: int = 0
    state: dict[str, bytes] = field(default_factory=dict)
    rules: str = ""
    appended_us: int = 0


@dataclass(frozen=True)
class Commit:
    """What was folded since the last checkpoint.

    Attributes:
        state: keys touched; None deletes the key.
        signals: id -> record of one signal, for the signals that are causes.
        labels: rule -> labels, kept with its firings.
        conditions: id -> record of what the second stage has to know, in order.
        appended_us: when the newest record folded came onto the bus, in microseconds since
            1970; 0 where none was folded since the last commit.
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
    conditions: Mapping[str, bytes] = field(default_factory=dict)
    appended_us: int = 0


@dataclass(frozen=True)
class Committed:
    """Ids of what this commit wrote first; a replay finds its own rows and adds none.

    `refused` are launches that were left out as their chain goes too far.
    """

    new_firings: tuple[str, ...] = ()
    new_missions: tuple[str, ...] = ()
    new_deliveries: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()


class Checkpoints(Database):
    """The evaluator's part of the store."""

    @retried
    def claim(self, partition: int) -> int:
        """Take `partition`; return the epoch that refuses every writer before this one."""
        with self.write() as connection:
            return claimed(connection, partition)

    def load(self, partition: int) -> Checkpoint:
        """Return the last checkpoint of `partition`, an empty one where there is none.

        Raises:
            StoreError: what is stored is not what was written.
        """
        with self.read() as connection:
            at = position(connection, partition)
            state = load_state(connection, partition)
            return Checkpoint(at.next_offset, state, at.rules, at.appended_us)

    def positions(self) -> dict[int, Position]:
        """Return where each partition stands that was ever claimed."""
        with self.read() as connection:
            rows = connection.execute(select(partitions).order_by(partitions.c.partition)).all()
            return {row.partition: checked(connection, row) for row in rows}

    @retried
    def commit(self, partition: int, epoch: int, commit: Commit) -> Committed:
        """Write `commit` whole; rows that exist already are left as they are.

        So the same commit may be tried again when its answer was lost, as long as the epoch
        is in force: it finds its own rows.

        Raises:
            Fenced: a newer epoch was claimed; nothing was written.
            StoreError: see Store; the same commit may be tried again.
        """
        now = self.now_us()
        with self.write() as connection:
            at = owned(connection, partition, epoch)
            with failpoint.around(Point.CHECKPOINT_WRITTEN):
                # The instant of the record before `next_offset`, or none: never another one's.
                here = at.appended_us if commit.next_offset == at.next_offset else 0
                newest = commit.appended_us or here
                to = Position(commit.next_offset, newest, epoch, commit.rules)
                move(connection, partition, to)
                save_state(connection, partition, commit.state)
            causes = [
                {"id": i, "record": r, "kept_at": now} for i, r in sorted(commit.signals.items())
            ]
            insert_missing(connection, signals, causes)
            add_conditions(connection, partition, commit.conditions)
            opened = apply_transitions(connection, commit.transitions, commit.labels)
            launched = add_launches(connection, commit.launches, now)
            told = add_deliveries(connection, commit.deliveries, now)
            done = Committed(tuple(opened), launched.new, tuple(told), launched.refused)
            # Last: its counts are rows that the commits of all partitions share.
            add_quarantined(connection, partition, commit.quarantined, now)
            return done
