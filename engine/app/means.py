"""What a fold is of, and what it works with."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.app.config import StreamConfig
from engine.app.in_force import InForce
from engine.model.ports import Clock
from engine.store.checkpoint import Committed
from engine.store.store import Store
from engine.stream.stage import Stage


@dataclass(frozen=True)
class Part:
    """Which log a fold is of, by its number in the store, and what is done with its signals.

    `belongs`: whether the signals of a cluster are in this log; others are put aside.
    """

    partition: int = 0
    stage: Stage = Stage.BOTH
    belongs: Callable[[str], bool] = lambda _cluster: True


@dataclass(frozen=True)
class Means:
    """What every fold of a process works with; `committed` is told what each commit made new."""

    store: Store
    force: InForce
    settings: StreamConfig
    clock: Clock
    committed: Callable[[Committed], None] = lambda _: None
