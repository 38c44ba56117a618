"""The fold of one log: its records through the evaluator into the store, commit by commit."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from engine import meters
from engine.app.collector import growing
from engine.app.means import Means, Part
from engine.app.pending import Pending, Told
from engine.app.telling import Teller, count
from engine.bus.codec import decode, encode
from engine.failpoint import Point, around
from engine.model.errors import Fenced, StoreError
from engine.model.firing import State, Step
from engine.model.instant import MICROS, to_us
from engine.model.signal import FOLD_ONLY, SIGNAL_TYPES, Signal
from engine.store.checkpoint import Commit
from engine.store.quarantine import Quarantined
from engine.stream.account import Degraded
from engine.stream.evaluator import Evaluator

LOG = structlog.get_logger()
RETRY_S = 1.0
GROUP_RECORDS = 64
"""Records that wait on the bus share a commit, as many as these: who waits waits shortly."""
_TYPES = frozenset({*SIGNAL_TYPES, *FOLD_ONLY})
"""Types counted by their name; a sender's own ones share a label, so that labels stay few."""


async def _no_archive(_: Sequence[Quarantined]) -> None:
    return


class Fold:
    """Owns the evaluator of one log between a claim and its end.

    `problem` says why the fold stands still, empty while it goes; nothing is dropped then:
    the same commit is tried until it succeeds, or the fold ends.
    """

    def __init__(self, means: Means, part: Part) -> None:
        """Claim the log and load its checkpoint. Raises StoreError."""
        self.part = part
        self._clock = means.clock
        self._store = means.store
        self._force = means.force
        self._settings = means.settings
        self._committed = means.committed
        self._lock = asyncio.Lock()
        self._teller = Teller(means.store, means.force)
        self._ending = False
        self.epoch = self._store.claim(part.partition)
        self._load()
        self.publish: Callable[[], None] = lambda: None
        self.archive: Callable[[Sequence[Quarantined]], Awaitable[None]] = _no_archive
        self.problem = ""

    def _load(self) -> None:
        """Start at the last checkpoint."""
        rules, lateness_us = self._force.rules, round(self._settings.lateness_s * MICROS)
        start = self._store.load(self.part.partition)
        with growing():
            self._evaluator = Evaluator(
                rules, start.state, lateness_us=lateness_us, stage=self.part.stage
            )
        self._digest = rules.digest
        self._pending = Pending(start.next_offset, appended_us=start.appended_us)
        self._committed_offset = start.next_offset
        self._unwritten: Commit | None = None
        self._whole = True
        # Firings that ended with their rule, while nothing ran, go with the first commit.
        self._take(self._evaluator.step(()), ())

    @property
    def next_offset(self) -> int:
        """The offset of the next record to fold."""
        return self._pending.next_offset

    @property
    def appended_us(self) -> int:
        """When the newest record folded came onto the bus, where that says so (Unix time)."""
        return self._pending.appended_us

    @property
    def committed_offset(self) -> int:
        """The offset that a restart would go on from; records below it can go."""
        return self._committed_offset

    @property
    def second_us(self) -> int | None:
        """Stream time of the second stage, None before its first signal."""
        return self._evaluator.stream_time("")

    def counters(self) -> Mapping[str, int]:
        """Return what the evaluator counted aside since the start, by name with labels."""
        return self._evaluator.counters()

    def degraded(self) -> list[Degraded]:
        """Return the rules that fail again and again, by cluster."""
        return self._evaluator.health()

    async def take(
        self,
        offset: int,
        record: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        appended_us: int = 0,
        more: Callable[[int], bool] = lambda _offset: False,
    ) -> None:
        """Fold one record, and commit when it is due.

        Args:
            offset: of the record; one below `next_offset` was folded already.
            record: a batch of signals, readable or not.
            headers: what came with the record, kept with what cannot be read.
            appended_us: when it came onto the bus, microseconds since 1970.
            more: whether a record at an offset is known to wait, to share the commit.

        Raises:
            Fenced: somebody else owns the log; nothing was written since.
            StoreError: the record was not folded whole; nothing is written before `restore`.
        """
        async with self._lock:
            if self._ending or offset < self.next_offset:
                return
            self._whole = False
            self._fold(offset, record, headers or {})
            self._whole = True
            self._pending.appended_us = appended_us
            if self._is_due(more):
                await self._commit()

    async def restore(self) -> None:
        """Go back to the last checkpoint, where a record was not folded whole.

        Raises:
            StoreError: it cannot be read.
        """
        async with self._lock:
            if not self._whole:
                await asyncio.to_thread(self._load)

    async def tick(self) -> None:
        """Commit every `checkpoint_s` what is pending, for ever. Raises Fenced."""
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            async with self._lock:
                await self._commit()

    async def skip(self, offset: int, told: Iterable[Signal]) -> None:
        """Go on at `offset`, as the records before it are gone; the second stage is `told`.

        Raises:
            Fenced: somebody else owns the log.
        """
        async with self._lock:
            self._pending.next_offset, self._pending.appended_us = offset, 0
            self._pending.conditions.update((one.id, encode([one])) for one in told)
            await self._commit()

    async def swap(self) -> None:
        """Fold by the rules in force from here of the log on; open firings of others end."""
        async with self._lock:
            rules = self._force.rules
            with around(Point.RULES_SWAPPED):
                self._take(self._evaluator.swap(rules), ())
                self._digest = rules.digest
            await self._commit()

    def end(self) -> None:
        """Fold nothing more; what the store refuses from now on is left to the next owner."""
        self._ending = True

    async def close(self) -> None:
        """Commit what is pending, or leave it to the next owner, who folds the log again."""
        self.end()
        async with self._lock:
            try:
                await self._commit()
            except Fenced as error:
                LOG.warning("log lost", partition=self.part.partition, error=str(error))

    def refused(self, error: StoreError) -> None:
        """Take note of why the fold stands still; it is logged once."""
        if not self.problem:
            LOG.warning("store refuses", error=str(error))
        self.problem = str(error)

    def _is_due(self, more: Callable[[int], bool]) -> bool:
        """Whether to commit now: it was much, or it is urgent and no record waits to share it."""
        pending = self._pending
        if pending.signals >= self._settings.checkpoint_signals:
            return True
        shared = pending.records < GROUP_RECORDS and more(pending.next_offset)
        return pending.urgent() and not shared

    def _fold(self, offset: int, record: bytes, headers: Mapping[str, str]) -> None:
        with around(Point.RECORD_DECODED):
            decoded = decode(record)
        pending = self._pending
        for bad in decoded.bad:
            self._put_aside(Quarantined(offset, bad.reason, bad.detail, bad.raw, headers=headers))
        signals = self._own(decoded.signals, offset, headers)
        pending.signals += len(signals)
        for kind, number in Counter(signal.type for signal in signals).items():
            meters.SIGNALS.labels(kind if kind in _TYPES else "other").inc(number)
        with around(Point.TIMER_FIRED):
            step = self._evaluator.step(signals)
        self._take(step, signals)
        pending.next_offset = offset + 1
        pending.records += 1

    def _own(self, signals: list[Signal], offset: int, headers: Mapping[str, str]) -> list[Signal]:
        """Return the signals whose clusters are in this log, and put the others aside.

        A cluster in two logs would have two states, and its firings twice.
        """
        clusters = {signal.cluster for signal in signals}
        foreign = {name for name in clusters if name and not self.part.belongs(name)}
        if not foreign:
            return signals
        for signal in signals:
            if signal.cluster in foreign:
                why = f"cluster {signal.cluster} has another partition than {self.part.partition}"
                raw = encode([signal])
                self._put_aside(Quarantined(offset, "misplaced", why, raw, headers=headers))
        return [signal for signal in signals if signal.cluster not in foreign]

    def _put_aside(self, bad: Quarantined) -> None:
        self._pending.quarantined.append(bad)
        meters.QUARANTINED.labels(bad.reason).inc()

    def _take(self, step: Step, signals: Sequence[Signal]) -> None:
        """Add what one step found to the pending commit."""
        pending = self._pending
        pending.take(step)
        pending.conditions.update((one.id, encode([one])) for one in step.conditions)
        wanted = {found.cause for found in step.transitions if found.cause}
        causes = {signal.id: signal for signal in signals if signal.id in wanted} if wanted else {}
        pending.causes.update({name: encode([signal]) for name, signal in causes.items()})
        for found in step.transitions:
            count(found)

    async def _commit(self) -> None:
        """Write what is pending in one transaction, however long the store refuses."""
        while True:
            try:
                commit = await self._next()
                if commit is not None:
                    await self._write(commit)
                    self.problem = ""
            except Fenced:
                raise
            except StoreError as error:
                self.refused(error)
                if self._ending:
                    return
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _write(self, commit: Commit) -> None:
        if commit.quarantined:
            await self.archive(commit.quarantined)
        with meters.STORE_SECONDS.time():
            done = await asyncio.to_thread(
                self._store.commit, self.part.partition, self.epoch, commit
            )
        self._unwritten = None
        self._committed_offset = commit.next_offset
        self._teller.forget(self._pending)
        self._pending = Pending(commit.next_offset, appended_us=commit.appended_us)
        now = to_us(self._clock.now())
        for found in commit.transitions:
            if found.state is State.FIRING:
                meters.SIGNAL_TO_FIRING.observe(max(0, now - found.at) / MICROS)
        self._committed(done)
        if commit.conditions:
            self.publish()

    async def _next(self) -> Commit | None:
        """Return the commit to write now, None where nothing is pending.

        The evaluator tells its changes once: a commit that was refused, or whose writing was
        cut off, stays the next one. Raises StoreError.
        """
        if self._unwritten is None and self._whole:
            pending, told = self._pending, Told()
            if pending.transitions or pending.notices:
                told = await asyncio.to_thread(self._teller.told, pending)
            self._unwritten = pending.commit(self._evaluator.changes(), self._digest, told)
        return self._unwritten
