"""Polling: watchers that look every so often, and what is told of what they found."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from engine.model.errors import ClusterError, MetricsError, StoreError
from engine.model.signal import Signal
from engine.model.watch import Observation, ResourceStatus
from watchers.aside import aside
from watchers.heartbeat import Pulse
from watchers.memory import Pending
from watchers.registry import Scene, kinds

RESEND = timedelta(hours=1)
"""How often a level that does not change is told again."""
LONGEST_LOOK_S = 60.0
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a look found.

    Attributes:
        type: type of the signal, such as `certificate`.
        subject: what it is about, unique among the facts of one look.
        data: data of the signal.
        source: where it was read, one of the sources of the poll.
        level: it lasts until it is missed: told when it changes, each hour, and as deleted once a
            look no longer finds it. Otherwise it is a sample, told at each look.
        sampled: a level that is told at each look, unchanged too, so that windows have samples.
    """

    type: str
    subject: str
    data: dict[str, Any]
    source: str
    level: bool = True
    sampled: bool = False


def _never(data: Mapping[str, Any]) -> bool:  # noqa: ARG001 - the form of `Looked.over`
    return False


@dataclass
class Looked:
    """What one look found; `faults` says why a source could not be read (`reason: sentence`).

    What was known of a source that could not be read stays as it is.

    Attributes:
        facts: what was found.
        faults: by source why it could not be read.
        patience: how long looks must go on missing a level before it is told as deleted.
        over: given the data of a level that is missed, whether it is gone for sure: then it is
            told as deleted at once.
        unsure: beginnings of subjects that nobody could say anything of: what was known of them
            stays as it is, though their source could be read.
    """

    facts: list[Fact] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    patience: timedelta = timedelta()
    over: Callable[[Mapping[str, Any]], bool] = _never
    unsure: set[str] = field(default_factory=set)


Look = Callable[[datetime], Awaitable[Looked]]
"""Given the instant for which it looks, aware UTC; raises ClusterError or MetricsError where
nothing at all could be read."""


async def poll(
    name: str, scene: Scene, sources: Sequence[str], every_s: float, look: Look
) -> AsyncGenerator[list[Signal]]:
    """Yield what the watcher `name` finds by looking every `every_s` seconds, for ever.

    It looks at once, then at multiples of `every_s` of the wall clock, shifted by an amount of
    the cluster's own, so that many clusters are spread. The time of a signal is the end of the
    look. Between looks heartbeats go on while every source can be read; one that is forbidden
    or missing is told of and left out. There is none before the first look is over, nor during a
    look, as nobody knows yet what it finds; and where all sources are parts of the API, none while
    nothing that is watched of the cluster can be seen.
    """
    if not sources:
        return
    pulse, telling = Pulse(name, scene.source.name, sources), _Telling(name, scene, sources)
    await telling.remember()
    beats = partial(_beats, pulse, sources, scene, inside=_inside(name, sources))
    await asyncio.sleep(0)  # the watchers that feed the others begin last: now they have begun
    at = scene.clock.now()
    while True:
        looked = await _look(look, at, sources, max(every_s, LONGEST_LOOK_S))
        faults = looked.faults
        counts = Counter(fact.source for fact in looked.facts)
        scene.sources.update(
            ((name, one), ResourceStatus(fault=faults.get(one, ""), objects=counts[one]))
            for one in sources
        )
        signals = await telling.of(looked, pulse.time(scene.clock.now()))
        if told := [*signals, *beats(faults)]:
            yield told
        await telling.keep()
        at = _next(at, every_s, scene.source.name)
        while (left := (at - scene.clock.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, pulse.due_s(scene.clock.now())))
            if told := beats(faults):
                yield told
        at = max(at, scene.clock.now() - timedelta(seconds=every_s))


def faults_of(error: ClusterError | MetricsError) -> str:
    """Return a fault as `Looked.faults` holds it."""
    return f"{error.reason}: {error}"


async def _look(look: Look, at: datetime, sources: Sequence[str], limit_s: float) -> Looked:
    try:
        async with asyncio.timeout(limit_s):
            return await look(at)
    except TimeoutError:
        fault = f"timeout: a look took more than {limit_s:.0f} s"
    except (ClusterError, MetricsError) as error:
        fault = faults_of(error)
    return Looked(faults=dict.fromkeys(sources, fault))


def _beats(
    pulse: Pulse,
    sources: Sequence[str],
    scene: Scene,
    faults: Mapping[str, str],
    *,
    inside: bool,
) -> list[Signal]:
    at = scene.clock.now()
    observations = ((one, Observation(at, fault=faults.get(one, ""))) for one in sources)
    told = [signal for one, seen in observations for signal in pulse.noted(one, seen)]
    beat = None if inside and scene.cut_off else pulse.beat()
    return [*told, beat] if beat else told


def _inside(name: str, sources: Iterable[str]) -> bool:
    """Whether all of `sources` are parts of the API server, which the others are cut off from."""
    kind = kinds().get(name)
    verbs = {one.name: one.verbs for one in kind.sources} if kind else {}
    return all(verbs.get(one) for one in sources)


def _next(at: datetime, every_s: float, cluster: str) -> datetime:
    shift_s = zlib.crc32(cluster.encode()) % 1000 / 1000 * every_s
    turns = (at.timestamp() - shift_s) // every_s + 1
    return datetime.fromtimestamp(turns * every_s + shift_s, at.tzinfo)


class _Known(msgspec.Struct, array_like=True):
    """A level that was told of: what a signal about its end says."""

    type: str
    subject: str
    source: str
    data: dict[str, Any]


class _Telling:
    """Knows what was told, and so what is new, changed or gone."""

    def __init__(self, name: str, scene: Scene, sources: Sequence[str]) -> None:
        self._name = name
        self._scene = scene
        self._sources = frozenset(sources)
        self._memory = scene.memory(name)
        self._known: dict[str, _Known] = {}
        self._told: dict[str, tuple[bytes, datetime]] = {}
        self._missed: dict[str, datetime] = {}
        self._pending = Pending(self._memory)

    async def remember(self) -> None:
        """Recall what was known before this process began; wait for the store as long as needed."""
        kept: dict[str, bytes] | None = None
        while kept is None:
            try:
                kept = await self._memory.recall()
            except StoreError:
                await asyncio.sleep(_RETRY_S)
        for key, value in kept.items():
            try:
                self._known[key] = msgspec.json.decode(value, type=_Known)
            except msgspec.DecodeError:  # of another version: it is learnt anew
                self._pending.changes[key] = None

    async def keep(self) -> None:
        """Remember what is known now."""
        await self._pending.keep()

    async def of(self, looked: Looked, at: datetime) -> list[Signal]:
        """Return the signals that tell of `looked` at `at`."""
        return await aside(partial(self._of, looked, at), len(looked.facts))

    def _of(self, looked: Looked, at: datetime) -> list[Signal]:
        signals = []
        found = set()
        for fact in looked.facts:
            key = f"{fact.type}/{fact.subject}"
            if not fact.level:
                signals.append(self._signal(fact.type, fact.subject, fact.data, at))
                continue
            found.add(key)
            if self._news(key, fact, at):
                signals.append(self._signal(fact.type, fact.subject, fact.data, at))
        gone = self._gone(looked, found, at)
        return [*signals, *(self._end(key, at) for key in gone)]

    def _gone(self, looked: Looked, found: set[str], at: datetime) -> list[str]:
        for key in found:
            self._missed.pop(key, None)
        read = self._sources - set(looked.faults)
        unsure = tuple(looked.unsure)
        gone = []
        for key, known in self._known.items():
            if key in found:
                continue
            if known.source in read and not known.subject.startswith(unsure):
                since = self._missed.setdefault(key, at)
                if at - since >= looked.patience or looked.over(known.data):
                    gone.append(key)
            elif known.source not in self._sources:
                # A source that is no longer configured is over, with all that was known by it.
                gone.append(key)
        return gone

    def _news(self, key: str, fact: Fact, at: datetime) -> bool:
        digest = msgspec.json.encode(fact.data, order="sorted")
        before, when = self._told.get(key, (b"", at))
        self._learn(key, fact)
        if before == digest and at - when < RESEND and not fact.sampled:
            return False
        self._told[key] = digest, at
        return True

    def _learn(self, key: str, fact: Fact) -> None:
        """Know a level by what it is and where it is read now: the end of it depends on that."""
        before = self._known.get(key)
        known = self._known[key] = _Known(fact.type, fact.subject, fact.source, fact.data)
        if before is None or before.source != known.source:
            self._pending.changes[key] = msgspec.json.encode(known)

    def _end(self, key: str, at: datetime) -> Signal:
        known = self._known.pop(key)
        self._told.pop(key, None)
        self._missed.pop(key, None)
        self._pending.changes[key] = None
        return self._signal(known.type, known.subject, {**known.data, "change": "deleted"}, at)

    def _signal(self, type_: str, subject: str, data: dict[str, Any], at: datetime) -> Signal:
        scene = self._scene
        return Signal(
            id=f"{scene.identity}/{self._name}/{type_}/{subject}@{at.isoformat()}",
            source=f"watchers/{self._name}/{scene.source.name}",
            type=type_,
            subject=subject,
            time=at,
            cluster=scene.source.name,
            data=data,
        )
