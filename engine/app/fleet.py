"""The fleet: the clusters of the configuration, and those that are found, as they come and go."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from engine.app.calling import called
from engine.app.config import AppConfig, ClusterConfig
from engine.app.discovery.found import Found
from engine.app.discovery.settings import source
from engine.app.fleet_member import Duty, Member, Places, guarded, origins, unmeasure
from engine.app.fleet_passages import Passages
from engine.app.fleet_register import Record
from engine.app.fleet_sources import Sources, looker
from engine.app.ingesting import Remembered, Watching
from engine.app.leasing import Alone
from engine.app.reaching import metrics_of, reach
from engine.cluster.reader import Reader
from engine.model.errors import StoreError
from engine.model.ports import Clock
from watchers.cluster import Means

if TYPE_CHECKING:
    from engine.changes.policy import Place

LOG = structlog.get_logger()
LOOKS: Final = 2
"""Looks in a row that miss a cluster until it counts as gone: a file is renamed in between."""
PATIENCE: Final = timedelta(minutes=2)
"""For how long one that is gone waits for a new one to be reached: it may be the same cluster."""

HEAD_START: Final = timedelta(seconds=10)
"""How long clusters that are found wait for those of the configuration to be reached."""
_LOOK_S: Final = 1.0


class Fleet(Mapping[str, Reader]):
    """The readers of all clusters by name; `run` keeps them up to date, and watches them.

    `watchings` are those of this process. Use within one running loop.
    """

    def __init__(self, settings: AppConfig, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._missed: Counter[str] = Counter()
        self._called = asyncio.Event()
        self._hurried = False
        self._turned = asyncio.Event()
        self._began = clock.now()
        self._duty: Duty | None = None
        self._going: set[str] = set()
        self._uids: dict[str, str] = {}
        self._reached = asyncio.Event()
        self.watchings: list[Watching] = []
        self.places: Mapping[str, Place] = Places(self._members)

    def __getitem__(self, name: str) -> Reader:
        return self._members[name].reader

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def configs(self) -> Sequence[ClusterConfig]:
        """Return the configuration of each cluster."""
        return [one.config for one in self._members.values()]

    def faults(self) -> list[tuple[str, str, str]]:
        """Return (source, place, what is wrong there) of the sources, as of the last look."""
        problems = self._sources.problems()
        return [(label, place, why) for label in problems for place, why in problems[label].items()]

    async def open(self, stack: AsyncExitStack) -> None:
        """Get ready to reach the clusters of the configuration."""
        for one in self._settings.clusters:
            await self._open(one, None)
        stack.push_async_callback(self._close)
        sources = [source(one.type, one.model_extra or {}) for one in self._settings.discover]
        lookers = [looker(one, self, self._clock) for one in sources]
        self._sources = Sources(sources, lookers, self._clock)

    def watch(self, duty: Duty) -> None:
        """Watch all clusters from now on, in `run`."""
        self._duty = duty
        for member in self._members.values():
            self._watch(member)

    async def run(self) -> None:
        """Look at the sources, watch, and tell who came and went, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for member in self._members.values():
                self._begin(member)
            while True:
                await self._look()
                self._turned.set()
                self._turned = asyncio.Event()
                await called(self._called, self._sources.tick_s)

    async def _look(self) -> None:
        """Look once: take in who is new, and let go of who is gone."""
        now, self._hurried = self._hurried, False
        self._began = self._clock.now()
        looked = await self._sources.look(now=now)
        wanted = self._sources.wanted([one.name for one in self._settings.clusters])
        records = await self._records()
        # Who is missed comes first: a new one may be the same cluster under another name.
        for name, origin in origins(self._members, records).items():
            if name in wanted:
                self._missed.pop(name, None)
            elif origin[0] in looked or origin[0] not in self._sources.labels:
                self._miss(name, *origin)
        for name, found in wanted.items():
            await self._take(name, found)
        waits = self._not_met(records)
        for name in [one for one, missed in self._missed.items() if missed >= LOOKS]:
            if not waits or (name in records and records[name].after):
                await self._let_go(name)
        if self._duty is not None and self._settings.discover:
            await self._duty.passages.faults(self._sources.problems())

    async def _records(self) -> Mapping[str, Record]:
        if self._duty is None:
            return {}
        try:
            return await self._duty.passages.known()
        except StoreError:
            return {}  # the store says so itself; the next look asks again

    async def _take(self, name: str, found: Found) -> None:
        member = self._members.get(name)
        if not found.ready:
            return
        if member is not None and member.found is not None and member.found.way == found.way:
            member.found, member.config = found, found.config
            return
        if member is not None:
            await self._end(member)
        member = await self._open(found.config, found)
        LOG.info("cluster found", cluster=name, source=found.source, place=found.place)
        if self._duty is not None:
            self._watch(member)
        self._begin(member)

    def _miss(self, name: str, label: str, place: str) -> None:
        """Take note that a look did not show a cluster."""
        if not self._sources.unread(label, place) and name not in self._going:
            self._missed[name] += 1

    def _not_met(self, records: Mapping[str, Record]) -> bool:
        """Whether a new cluster was not reached yet: it may be one that is missed, renamed."""
        edge = self._clock.now() - PATIENCE
        members = self._members.items()
        return self._duty is not None and any(
            name not in records and one.since > edge for name, one in members
        )

    async def _let_go(self, name: str) -> None:
        """End what goes on for a cluster that is gone, and let it be told."""
        member = self._members.get(name)
        if member is not None:
            LOG.info("cluster gone", cluster=name)
            await self._end(member)
        self._missed.pop(name)
        if self._duty is not None:
            self._going.add(name)
            self._group.create_task(self._go(name, self._duty))

    async def _open(self, config: ClusterConfig, found: Found | None) -> Member:
        stack = AsyncExitStack()
        login = None if found is None or found.login is None else partial(self._login, config.name)
        reader = await stack.enter_async_context(reach(config, login=login))
        metrics = await stack.enter_async_context(metrics_of(config))
        member = self._members[config.name] = Member(
            config, found, reader, metrics, stack, self._clock.now()
        )
        return member

    def _login(self, name: str) -> Mapping[str, Any]:
        """Return the credentials of a cluster as they were found last."""
        found = self._members[name].found
        return (found.login if found is not None else None) or {}

    def _watch(self, member: Member) -> None:
        duty = self._duty
        if duty is None:
            return
        member.watching = Watching(
            member.config,
            member.reader,
            duty.intake,
            self._clock,
            Means(
                metrics=member.metrics,
                memory=partial(Remembered, duty.store, member.config.name),
                folder=duty.folder / member.config.name,
                met=partial(self._met, member, duty.passages),
            ),
        )
        self.watchings.append(member.watching)

    def _begin(self, member: Member) -> None:
        if member.watching is not None and self._duty is not None:
            holding = self._duty.leases.hold(member.watching.lease, partial(self._work, member))
            member.task = self._group.create_task(holding)

    async def _work(self, member: Member) -> None:
        """Watch a cluster under its lease; one that was found, only if it is still there.

        Another process may have told that it left, by a look that was later than the one here.
        """
        name, duty, asked = member.config.name, self._duty, self._clock.now()
        if member.found is not None and duty is not None and not isinstance(duty.leases, Alone):
            while self._began <= asked or self._missed[name]:
                await self.look_again()
        if member.watching is not None:
            await guarded(member.watching)

    async def _met(self, member: Member, passages: Passages, uid: str) -> None:
        """Tell who was reached; one that was found and is the twin of another waits for its end."""
        name, held = member.config.name, False
        self._uids[name] = uid
        self._reached.set()
        if member.found is not None:
            await self._configured_met()
        while True:
            other = await passages.name_of(uid)
            twin = self._twin(name, uid, other)
            if not twin or member.found is None:
                break
            if not held:
                LOG.warning("the same cluster twice", cluster=name, watched_as=twin)
                self._show(member, shown=False)
                await passages.hold(member.reached(uid), twin)
                held = True
            await self.look_again(now=False)
        if twin:
            LOG.warning("the same cluster twice", cluster=name, other=twin)
        self._show(member, shown=True)
        gone = other if other != name and not self._is_there(other) else ""
        if await passages.come(member.reached(uid), gone, twin):
            self._missed[gone] = LOOKS
            self._hurry()

    async def _configured_met(self) -> None:
        """Give those of the configuration time to be reached: of twins they come first."""
        until = self._clock.now() + HEAD_START
        while self._clock.now() < until and any(map(self._awaited, self._members.values())):
            await called(self._reached, _LOOK_S)

    def _awaited(self, member: Member) -> bool:
        watching = member.watching
        fixed = member.found is None and watching is not None and not watching.status.fault
        return fixed and member.config.name not in self._uids

    def _twin(self, name: str, uid: str, known: str) -> str:
        """Return the cluster of the same identity that comes before `name`, empty for none.

        First those of the configuration, then who was `known` by it, then who was reached first.
        """
        same = [one for one, its in self._uids.items() if uid and its == uid]
        there = [one for one in dict.fromkeys([*same, known]) if one and self._is_there(one)]
        ranked = sorted(there, key=lambda one: (self._members[one].found is not None, one != known))
        return ranked[0] if ranked and ranked[0] != name else ""

    def _is_there(self, name: str) -> bool:
        return name in self._members and not self._missed[name]

    def _show(self, member: Member, *, shown: bool) -> None:
        watching = member.watching
        if watching is None:
            return
        if shown and watching not in self.watchings:
            self.watchings.append(watching)
        elif not shown and watching in self.watchings:
            self.watchings.remove(watching)
            unmeasure(watching.config.name)

    async def look_again(self, *, now: bool = True) -> None:
        """Return once the next look is over; it is begun `now`, or when it is due."""
        turned = self._turned
        if now:
            self._hurry()
        await turned.wait()

    def _hurry(self) -> None:
        """Look at all sources at once."""
        self._hurried = True
        self._called.set()

    async def _end(self, member: Member) -> None:
        """End what goes on for a cluster, and forget it."""
        if member.task is not None:
            member.task.cancel()
            await asyncio.wait({member.task})
        if member.watching in self.watchings:
            self.watchings.remove(member.watching)
        unmeasure(member.config.name)
        del self._members[member.config.name]
        self._uids.pop(member.config.name, None)
        await member.open.aclose()

    async def _go(self, name: str, duty: Duty) -> None:
        """Tell that a cluster left, once nobody watches it any more."""
        told = asyncio.Event()

        async def tell() -> None:
            if name not in self._members:
                await duty.passages.go(name)
            told.set()

        works = {
            asyncio.create_task(duty.leases.hold(f"cluster/{name}", tell)),
            asyncio.create_task(told.wait()),
        }
        try:
            done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            for work in done:
                work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.wait(works)
            self._going.discard(name)

    async def _close(self) -> None:
        for member in self._members.values():
            await member.open.aclose()
