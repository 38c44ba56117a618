"""The logs that a worker folds on Kafka: partitions, as the consumer group shares them out."""

import asyncio

import structlog

from engine.app.folding import Fold
from engine.app.logs_folded import Waiting
from engine.app.means import Means
from engine.app.owning import Partitions
from engine.bus.faust_worker import KafkaWorker
from engine.bus.kafka import KafkaBus
from engine.model.errors import ConfigError, StoreError

LOG = structlog.get_logger()
DECLARE_S = 5.0


class KafkaLogs:
    """Partitions of the topics, as the consumer group shares them out."""

    def __init__(self, means: Means, bus: KafkaBus, member: str) -> None:
        self._bus = bus
        self._partitions = Partitions(means, bus)
        self._worker = KafkaWorker(bus.settings, self._partitions, member=member)
        self._partitions.more, self._partitions.gone = self._worker.holds, self._worker.lost
        self._undeclared = "the topics were not looked at yet"

    async def begin(self) -> None:
        """Do nothing: brokers may come later."""

    async def run(self) -> None:
        """See to the topics, however long it takes, then fold what the group gives."""
        while self._undeclared:
            try:
                await self._bus.declare()
            except (StoreError, ConfigError) as error:
                if str(error) != self._undeclared:
                    LOG.warning("topics not ready", error=str(error))
                self._undeclared = str(error)
                await asyncio.sleep(DECLARE_S)
            else:
                self._undeclared = ""
        await self._worker.run()

    def end(self) -> None:
        """Fold nothing more: a fold that waits for the store would keep the worker from leaving."""
        for fold in self.folds():
            fold.end()

    async def close(self) -> None:
        """Write what is pending of all logs, where the worker did not have time to."""
        await self._partitions.revoked(list(self._partitions.folds()))

    async def swap(self) -> None:
        """Go on by the rules in force."""
        await self._partitions.swap()

    def folds(self) -> list[Fold]:
        """Return the folds of the logs that are ours now."""
        return list(self._partitions.folds().values())

    async def waiting(self) -> Waiting:
        """Return what waits to be folded of our logs. Raises StoreError."""
        folds = self._partitions.folds()
        ends = await self._bus.ends() if folds else {}
        behind = {log: ends.get(log, 0) - fold.next_offset for log, fold in folds.items()}
        since = [folds[log].appended_us for log, records in behind.items() if records > 0]
        return Waiting(
            sum(max(0, records) for records in behind.values()), min(since, default=None)
        )

    def problems(self) -> dict[str, str]:
        """Return what is wrong with the topics, the group, and single logs."""
        lost = "; ".join(f"{log}: {why}" for log, why in sorted(self._partitions.lost.items()))
        return {"topics": self._undeclared, "group": self._worker.problem or lost}

    def mission_ended(self) -> None:
        """Let the second stage know at once, where it is folded here."""
        self._partitions.mission_ended()
