"""Own logs on Kafka: a fold for each partition that the consumer group gives to this process."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from engine.app.folding import Fold
from engine.app.means import Means, Part
from engine.app.publishing import Publisher
from engine.app.second_stage import Chronicler, keep_time
from engine.bus.codec import Bad
from engine.bus.faust_worker import Record, Start
from engine.bus.kafka import KafkaBus
from engine.bus.topics import Log, Topic
from engine.model.errors import Fenced
from engine.model.instant import to_us
from engine.store.quarantine import Quarantined
from engine.stream.second_stage import gap
from engine.stream.stage import Stage

if TYPE_CHECKING:
    from engine.model.signal import Signal

LOG = structlog.get_logger()


@dataclass
class _Owned:
    fold: Fold
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Partitions:
    """The logs that this process owns; the worker tells it which, and hands it their records.

    `more` says whether a record of a log is known to wait; `gone` is told of a log that was lost
    beside the folding. `lost` holds why a log that is still assigned is not folded here.
    """

    def __init__(self, means: Means, bus: KafkaBus) -> None:
        self._means = means
        self._store = means.store
        self._clock = means.clock
        self._bus = bus
        self._owned: dict[Log, _Owned] = {}
        self._placed: dict[str, int] = {}
        self._changing = asyncio.Lock()
        self._chronicler: Chronicler | None = None
        self.lost: dict[Log, str] = {}
        self.gone: Callable[[Log], None] = lambda _log: None
        self.more: Callable[[Log, int], bool] = lambda _log, _offset: False

    def folds(self) -> dict[Log, Fold]:
        """Return the folds that go on here."""
        return {log: owned.fold for log, owned in self._owned.items()}

    async def assigned(self, log: Log) -> Start:
        """Take `log` over; return where to go on. Raises StoreError."""
        async with self._changing:
            await self._drop(log)
            self.lost.pop(log, None)
            self._placed |= await asyncio.to_thread(self._store.placements)
            fold = await asyncio.to_thread(Fold, self._means, self._part(log))
            fold.archive = self._archive
            owned = self._owned[log] = _Owned(fold)
            for work in self._works(log, fold):
                owned.tasks.append(asyncio.create_task(self._beside(log, fold, work)))
        LOG.info("log taken", log=str(log), offset=fold.next_offset, epoch=fold.epoch)
        return Start(fold.next_offset, fold.appended_us // 1000)

    async def take(self, log: Log, record: Record) -> None:
        """Fold one record of `log`. Raises Fenced for a log that somebody else owns by now."""
        owned = self._owned.get(log)
        if owned is None:
            raise Fenced(f"{log} was lost")
        headers = {name: value.decode(errors="backslashreplace") for name, value in record.headers}
        folding = owned.fold.take(
            record.offset,
            record.value,
            headers=headers,
            appended_us=record.at_ms * 1000,
            more=partial(self.more, log),
        )
        await self._ours(log, owned.fold, folding)

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        """Go on at `found`: the records from `wanted` on are gone, and that is told.

        The watchers list everything again, so that levels of what is there are right once more.

        Raises:
            Fenced: somebody else owns the log.
        """
        owned = self._owned.get(log)
        if owned is None:
            return
        LOG.error("records are gone", log=str(log), wanted=wanted, found=found)
        told: list[Signal] = []
        if log.topic is Topic.SIGNALS:
            await asyncio.to_thread(self._store.ask_relist, log.partition)
            placed = await asyncio.to_thread(self._store.placements)
            now = to_us(self._clock.now())
            told = [
                signal
                for cluster in sorted(placed)
                if placed[cluster] == log.partition
                for signal in gap(cluster, now, wanted, found)
            ]
        await self._ours(log, owned.fold, owned.fold.skip(found, told))

    async def revoked(self, logs: Collection[Log]) -> None:
        """Write what is pending of `logs` and let go of them."""
        async with self._changing:
            for log in logs:
                owned = self._owned.get(log)
                if owned is not None:
                    await owned.fold.close()
                await self._drop(log)
                self.lost.pop(log, None)
                if owned is not None:
                    LOG.info("log given up", log=str(log), offset=owned.fold.committed_offset)

    async def swap(self) -> None:
        """Let every fold go on by the rules in force."""
        async with self._changing:
            for log, owned in list(self._owned.items()):
                await self._beside(log, owned.fold, owned.fold.swap())

    def mission_ended(self) -> None:
        """Say that a mission of this process ended."""
        if self._chronicler is not None:
            self._chronicler.call()

    def _part(self, log: Log) -> Part:
        if log.topic is Topic.CONDITIONS:
            return Part(log.stored, Stage.SECOND)
        return Part(log.stored, Stage.FIRST, partial(self._belongs, log.partition))

    def _works(self, log: Log, fold: Fold) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on beside the folding of a log."""
        append = partial(self._bus.append_to, log.topic, log.partition)
        if log.topic is Topic.CONDITIONS:
            self._chronicler = Chronicler(self._store, append, self._clock, fold.second_us)
            return [fold.tick(), self._chronicler.run()]
        publisher = Publisher(self._store, self._bus, log.stored, fold.epoch)
        fold.publish = publisher.call
        return [fold.tick(), publisher.run(), keep_time(append, self._clock)]

    def _belongs(self, partition: int, cluster: str) -> bool:
        """Whether the signals of `cluster` are in `partition`; one never seen is placed there."""
        if cluster not in self._placed:
            self._placed[cluster] = self._store.place(cluster, partition)
        return self._placed[cluster] == partition

    async def _archive(self, bad: Sequence[Quarantined]) -> None:
        """Keep the bytes of what could not be read in the topic of its own."""
        await asyncio.gather(*(self._kept(one) for one in bad))

    async def _kept(self, one: Quarantined) -> None:
        bad = [Bad(one.reason, one.detail, one.raw)]
        await self._bus.quarantine(one.partition, one.offset, bad, one.headers)

    async def _ours(self, log: Log, fold: Fold, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` for `fold`; drop it, and raise Fenced, where somebody else owns its log."""
        try:
            await work
        except Fenced as error:
            LOG.warning("log lost", log=str(log), error=str(error))
            owned = self._owned.get(log)
            if owned is not None and owned.fold is fold:
                self.lost[log] = str(error)
                await self._drop(log)
            raise

    async def _beside(self, log: Log, fold: Fold, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` beside the folding of a log; tell where that was lost."""
        try:
            await self._ours(log, fold, work)
        except Fenced:
            if log not in self._owned:
                self.gone(log)

    async def _drop(self, log: Log) -> None:
        """End what goes on beside a log, and forget its state."""
        owned = self._owned.pop(log, None)
        if owned is None:
            return
        me = asyncio.current_task()
        others = [task for task in owned.tasks if task is not me]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
