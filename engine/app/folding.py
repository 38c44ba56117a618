"""The loop: records of the bus through the evaluator into the store, one commit at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import structlog

from engine import meters
from engine.app.config import AppConfig
from engine.app.pending import Pending
from engine.bus.codec import decode, encode
from engine.bus.embedded import EmbeddedBus
from engine.missions.notices import Route, Told, tell_transition
from engine.model.errors import Fenced, StoreError
from engine.model.firing import State, Step, Transition
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.model.signal import HEARTBEAT, SIGNAL_TYPES, Signal
from engine.rules.rule import Rule, RuleSet
from engine.store.checkpoint import Commit, Committed
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from engine.stream.account import Degraded
from engine.stream.evaluator import Evaluator

LOG = structlog.get_logger()
PARTITION = 0
OPEN_LIMIT = 100_000
RETRY_S = 1.0
GROUP_RECORDS = 64
"""Records that wait on the bus share a commit, as many as these: who waits waits shortly."""
_TYPES = frozenset({*SIGNAL_TYPES, HEARTBEAT})
"""Types counted by their name; a sender's own ones share a label, so that labels stay few."""


class Fold:
    """Owns the evaluator of the embedded partition between a claim and its end.

    `problem` says why the loop stands still, empty while it goes; nothing is dropped then:
    the same commit is tried until it succeeds.
    """

    def __init__(
        self,
        store: Store,
        bus: EmbeddedBus,
        rules: RuleSet,
        settings: AppConfig,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._store = store
        self._bus = bus
        self._settings = settings.stream
        self.routes = routes_of(settings)
        self._lock = asyncio.Lock()
        self._epoch = store.claim(PARTITION)
        start = store.load(PARTITION)
        self._evaluator = Evaluator(
            rules, start.state, lateness_us=round(settings.stream.lateness_s * MICROS)
        )
        self._rules = rules
        self._known = {rule.name: rule for rule in rules.rules}
        self._pending = Pending(start.next_offset)
        self._committed_offset = start.next_offset
        held = store.firings(states=[State.FIRING, State.SUPPRESSED], limit=OPEN_LIMIT)
        self._opened = {row.id: to_us(row.opened) for row in held}
        meters.FIRINGS_ACTIVE.set(len(held))
        self._unwritten: Commit | None = None
        self.committed: Callable[[Committed], None] = lambda _: None
        self.problem = ""

    @property
    def next_offset(self) -> int:
        """The offset of the next record to fold."""
        return self._pending.next_offset

    def counters(self) -> Mapping[str, int]:
        """Return what the evaluator counted aside since the start, by name with labels."""
        return self._evaluator.counters()

    def degraded(self) -> list[Degraded]:
        """Return the rules that fail again and again, by cluster."""
        return self._evaluator.health()

    @property
    def second_us(self) -> int | None:
        """Stream time of the second stage, None before its first signal."""
        return self._evaluator.stream_time("")

    @property
    def committed_offset(self) -> int:
        """The offset that a restart would go on from; records below it can go."""
        return self._committed_offset

    def rule_of(self, name: str, firing: str) -> Rule | None:
        """Return the rule that `firing` came of, to know whom to tell; None for no rule.

        That is the one in force, or the last of this name; after a restart without it, one
        made of the labels kept with the firing, so that routes still find who waits.
        """
        if name in self._known or not name:
            return self._known.get(name)
        row = self._store.firing(firing)
        return Rule(name, (), (), "", labels=row.labels if row else {})

    async def run(self) -> None:
        """Fold for ever. Raises Fenced when another process took the partition."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._read())

    async def swap(self, rules: RuleSet) -> None:
        """Put `rules` in force from here of the log on; open firings of others end."""
        async with self._lock:
            step = self._evaluator.swap(rules)
            self._rules = rules
            self._known.update((rule.name, rule) for rule in rules.rules)
            self._take(step, ())
            await self._commit()
        meters.in_force(len(rules.rules), rules.digest)

    async def close(self) -> None:
        """Commit what is pending, or leave it to the next start, which folds the log again."""
        async with self._lock:
            if commit := self._next():
                try:
                    await self._write(commit)
                except StoreError as error:
                    LOG.warning("store refuses", error=str(error))

    async def _read(self) -> None:
        """Fold what is on the bus and what comes, however often it cannot be read."""
        while True:
            try:
                await self._follow()
            except Fenced:
                raise
            except StoreError as error:
                self._refused(error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _follow(self) -> None:
        await self._bus.end()
        self.problem = ""
        async for offset, record in self._bus.read(self._pending.next_offset):
            async with self._lock:
                self._fold(offset, record)
                if self._is_due():
                    await self._commit()
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            async with self._lock:
                await self._commit()

    def _is_due(self) -> bool:
        """Whether to commit now: it was much, or it is urgent and no record waits to share it."""
        pending = self._pending
        if pending.signals >= self._settings.checkpoint_signals:
            return True
        shared = pending.records < GROUP_RECORDS and self._bus.holds(pending.next_offset)
        return pending.urgent() and not shared

    def _fold(self, offset: int, record: bytes) -> None:
        decoded = decode(record)
        self._pending.next_offset = offset + 1
        self._pending.records += 1
        for bad in decoded.bad:
            self._pending.quarantined.append(Quarantined(offset, bad.reason, bad.detail, bad.raw))
            meters.QUARANTINED.labels(bad.reason).inc()
        signals = decoded.signals
        self._pending.signals += len(signals)
        for kind, count in Counter(signal.type for signal in signals).items():
            meters.SIGNALS.labels(kind if kind in _TYPES else "other").inc(count)
        self._take(self._evaluator.step(signals), signals)

    def _take(self, step: Step, signals: Sequence[Signal]) -> None:
        """Add what one step found to the pending commit."""
        pending = self._pending
        pending.launches.extend(step.launches)
        pending.transitions.extend(step.transitions)
        wanted = {found.cause for found in step.transitions if found.cause}
        causes = {signal.id: signal for signal in signals if signal.id in wanted} if wanted else {}
        pending.causes.update({name: encode([signal]) for name, signal in causes.items()})
        for found in step.transitions:
            _count(found)
            rule = self.rule_of(found.rule, found.firing)
            if rule is not None:
                pending.labels[rule.name] = rule.labels
            if found.state is State.FIRING:
                self._opened.setdefault(found.firing, found.at)
        for found in step.notices:
            self._tell(found)
        for found in step.transitions:
            if found.state is State.RESOLVED:
                self._opened.pop(found.firing, None)

    def _tell(self, found: Transition) -> None:
        """Let everybody wait to be told of `found` who wants to hear of it."""
        rule = self.rule_of(found.rule, found.firing)
        if rule is not None:
            told = Told(found, self._opened.get(found.firing), self._signal(found.cause))
            self._pending.deliveries.extend(tell_transition(rule, told, self.routes))

    def _signal(self, cause: str) -> Signal | None:
        """Return the signal that decided, of this commit or of one before it."""
        if not cause:
            return None
        record = self._pending.causes.get(cause) or self._store.signal(cause)
        return decode(record).signals[0] if record else None

    async def _commit(self) -> None:
        """Write what is pending in one transaction, however long the store refuses."""
        while commit := self._next():
            try:
                await self._write(commit)
            except Fenced:
                raise
            except StoreError as error:
                self._refused(error)
                await asyncio.sleep(RETRY_S)
            else:
                self.problem = ""
                return

    async def _write(self, commit: Commit) -> None:
        with meters.STORE_SECONDS.time():
            done = await asyncio.to_thread(self._store.commit, PARTITION, self._epoch, commit)
        self._unwritten = None
        self._committed_offset = commit.next_offset
        self._pending = Pending(commit.next_offset)
        now = to_us(self._clock.now())
        for found in commit.transitions:
            if found.state is State.FIRING:
                meters.SIGNAL_TO_FIRING.observe(max(0, now - found.at) / MICROS)
        self.committed(done)

    def _next(self) -> Commit | None:
        """Return the commit to write now, None where nothing is pending.

        The evaluator tells its changes once: a commit that was refused, or whose writing was
        cut off, stays the next one.
        """
        if self._unwritten is not None:
            return self._unwritten
        pending = self._pending
        commit = Commit(
            next_offset=pending.next_offset,
            state=self._evaluator.changes(),
            rules=self._rules.digest,
            transitions=pending.transitions,
            launches=pending.launches,
            deliveries=pending.deliveries,
            quarantined=pending.quarantined,
            signals=pending.causes,
            labels=pending.labels,
        )
        if not commit.state and not pending.urgent() and not pending.signals:
            return None
        self._unwritten = commit
        return commit

    def _refused(self, error: StoreError) -> None:
        if not self.problem:
            LOG.warning("store refuses", error=str(error))
        self.problem = str(error)


def routes_of(settings: AppConfig) -> tuple[Route, ...]:
    """Return the routes of the configuration as the notices take them."""
    return tuple(
        Route(
            tuple(one.sinks),
            {name: tuple(globs) for name, globs in one.match.items()},
            tuple(one.on),
        )
        for one in settings.routes
    )


def _count(found: Transition) -> None:
    if found.state is State.FIRING:
        meters.FIRINGS.labels(found.rule).inc()
        meters.FIRINGS_ACTIVE.inc()
    elif found.state is State.RESOLVED:
        meters.FIRINGS_ACTIVE.dec()
    elif found.state is State.SUPPRESSED:
        meters.SUPPRESSED.labels(found.reason).inc()
