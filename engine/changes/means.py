"""Means: what the change path asks of the outside; the app fulfils it, tests stand in for it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from engine.changes.look import Look
from engine.model.change import Draft, ProbeResult
from engine.model.change_row import ChangeRow, Decision, Freeze, Judgement, Step, Usage, Written
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.delivery import Delivery, Occasion
from engine.model.moved import Moved
from engine.model.ports import Clock, Writer
from engine.model.snapshot import ClusterSnapshot

if TYPE_CHECKING:
    from engine.changes.policy import Policy

Object = Mapping[str, Any]


class Ledger(Protocol):
    """The part of the store that changes need; see engine.store. Each call is one transaction.

    Raises StoreError: nothing was written. Fenced: another writer has the lease by now.
    """

    def changes(
        self, *, states: Sequence[ChangeState] = (), mission: str = "", limit: int = 50
    ) -> list[ChangeRow]:
        """Return changes, the latest first."""
        ...

    def change(self, change: str) -> ChangeRow | None:
        """Return one change with its decisions and what was written."""
        ...

    def move_change(  # noqa: PLR0913
        self,
        change: str,
        frm: ChangeState,
        event: ChangeEvent,
        moved: Moved,
        now: datetime,
        *,
        epoch: int,
    ) -> ChangeRow:
        """Move it where it still stands at `frm`, with its audit entry. Raises IllegalMove."""
        ...

    def touch_change(  # noqa: PLR0913
        self,
        change: str,
        frm: ChangeState,
        *,
        next_at: datetime | None,
        results: Sequence[ProbeResult] | None = None,
        deliveries: Sequence[Delivery] = (),
        epoch: int,
    ) -> None:
        """Say when to look again, where it still stands at `frm`. Raises IllegalMove."""
        ...

    def decide(
        self,
        decision: Decision,
        judge: Callable[[ChangeRow], Judgement],
        now: datetime,
        deliveries: Callable[[ChangeRow], Sequence[Delivery]] = ...,
    ) -> ChangeRow:
        """Keep a decision, and move by what all of them amount to. Raises Refused."""
        ...

    def begin_write(self, change: str, written: Written, *, epoch: int) -> None:
        """Keep an intent; it takes the place of an earlier one of the same step and number."""
        ...

    def end_write(  # noqa: PLR0913, PLR0917
        self,
        change: str,
        step: Step,
        number: int,
        outcome: str,
        after: Object | None,
        now: datetime,
        *,
        epoch: int,
    ) -> None:
        """Keep the outcome of the intent that was begun."""
        ...

    def take_locks(self, change: str, names: Sequence[str], *, epoch: int) -> str:
        """Take all locks or none; return the change that has one, empty when they are ours."""
        ...

    def usage(self, row: ChangeRow, now: datetime) -> Usage:
        """Return what was changed lately, and the freezes in force."""
        ...

    def freeze(self, freeze: Freeze) -> None:
        """Stop new changes in a scope."""
        ...


class Asks(Protocol):
    """Whom to tell, for each sink of the change: see engine.changes.asking."""

    def __call__(self, row: ChangeRow, occasion: Occasion, now: datetime) -> Sequence[Delivery]:
        """Return the deliveries, with keys that are the same for the same row and `now`."""
        ...


@dataclass(frozen=True)
class Means:
    """All that `advance` works with.

    Attributes:
        ledger: the store.
        proposer: cluster name -> who may only dry-run. Raises ClusterError for one unknown.
        writer: (cluster name, mission kind) -> who may change what that kind needs.
        look: reads the cluster of a draft anew and runs its kind. Raises ClusterError.
        assess: runs the kind on a snapshot that was read already; pure.
        policy: the policy in force; None: nothing is ever changed.
        asks: whom to tell.
        clock: wall clock.
        may_write: whether this process surely still is the one writer; asked right before each
            write and undo is sent.
        begins: cluster name -> what is held from reading its budget to beginning within it.
    """

    ledger: Ledger
    proposer: Callable[[str], Writer]
    writer: Callable[[str, str], Writer]
    look: Callable[[Draft], Awaitable[Look]]
    assess: Callable[[ClusterSnapshot, Draft], Look]
    policy: "Callable[[], Policy | None]"
    asks: Asks
    clock: Clock
    may_write: Callable[[], bool] = lambda: True
    begins: Mapping[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
