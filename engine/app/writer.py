"""`dogwatch run --role writer`: the process that alone changes clusters, with its own credentials.

It reads clusters with the reader's credentials, to judge; decisions come to it by the store.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import structlog

from engine import meters
from engine.app.assessing import Assessor
from engine.app.config import AppConfig, ClusterConfig
from engine.app.leasing import Leases
from engine.app.lock import hold
from engine.app.opening import open_store, own_files
from engine.app.policies import Policies
from engine.app.policy_file import places_of
from engine.app.process import LOCAL, Process, Pulse, process_name
from engine.app.reaching import reach
from engine.app.writers import Writers
from engine.app.writing import Writing
from engine.changes.asking import asks
from engine.changes.means import Means
from engine.changes.policy import needed
from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeState
from engine.model.delivery import Delivery, Occasion
from engine.model.errors import ConfigError, DogwatchError, StoreError
from engine.model.ports import SystemClock
from engine.store.change_moves import WRITER
from engine.store.store import Store
from engine.web.app import Health, Ports, build

LOG = structlog.get_logger()
ROLE = "writer"


class WriterProcess:
    """The parts of the writer and how they are started and ended."""

    def __init__(self, settings: AppConfig, listener: socket.socket) -> None:
        if not any(one.writer for one in settings.clusters):
            raise ConfigError(
                "--role writer: no cluster of the configuration has `writer`, the credentials "
                "to change it with; see deploy/dogwatch.yaml"
            )
        self._settings = settings
        self._clock = SystemClock()
        self._pulse = Pulse(self._clock)
        self._writing: Writing | None = None
        self._policies: Policies | None = None
        self._leases: Leases | None = None
        self._waits_for = "starting"
        self._process = Process(build(self._ports()), listener)

    async def run(self) -> None:
        """Serve health and metrics, and write until a signal asks to stop."""

        async def work() -> None:
            async with AsyncExitStack() as stack:
                store = await self._opened(stack)
                if store is not None:
                    await self._work(stack, store)

        await self._process.run(work, self._turn())

    async def _opened(self, stack: AsyncExitStack) -> Store | None:
        """Return the store once it can be opened, None when asked to stop before.

        Raises:
            StoreError: it is a file and can not be opened, or another writer runs on it.
        """
        settings = self._settings
        if own_files(settings):
            stack.enter_context(hold(Path(settings.data_dir), ROLE))

        async def opening() -> Store:
            store = await asyncio.to_thread(open_store, settings, self._clock)
            stack.callback(store.close)
            return store

        waits = self._wait_for if settings.store.shared else None
        return await self._process.opened(opening, waits)

    def _wait_for(self, why: str) -> None:
        self._waits_for = why

    async def _work(self, stack: AsyncExitStack, store: Store) -> None:
        settings = self._settings
        path, complete = settings.changes.policy_file or "", not settings.discover
        policies = Policies(path, places_of(settings), store, complete=complete)
        if await asyncio.to_thread(policies.first) is None:
            LOG.warning("no policy in force: nothing is changed", setting="changes.policy_file")
        readers = {
            one.name: await stack.enter_async_context(reach(one, act_as=_reads_as(one)))
            for one in settings.clusters
        }
        writers = await stack.enter_async_context(Writers(settings.clusters))
        assessor = Assessor(readers, settings.missions, self._clock)
        # A file that is locked has one writer, which need not wait for its own old lease.
        leases = Leases(store, LOCAL if own_files(settings) else process_name())
        means = Means(
            ledger=store,
            proposer=writers.proposer,
            writer=writers.writer,
            look=assessor.look,
            assess=assessor.assess,
            policy=lambda: policies.policy,
            asks=_Asking(store, policies, settings.changes.url or ""),
            clock=self._clock,
            may_write=lambda: leases.left_s(WRITER) > 0,
        )
        self._leases = leases
        self._writing = Writing(store, means, leases, settings.changes)
        self._policies = policies
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(leases.hold(WRITER, self._writing.run)),
                group.create_task(policies.run()),
            ]
            LOG.info("running", listen=self._process.url, writes=writers.clusters, roles=[ROLE])
            await self._process.until_stopped()
            for task in tasks:
                task.cancel()

    async def _turn(self) -> None:
        """Take note every second that the loop turns, for ever."""
        while True:
            await self._pulse.beat()

    def _checks(self) -> list[Health]:
        writing, policies, leases = self._writing, self._policies, self._leases
        if writing is None or policies is None or leases is None:
            return [Health("store", self._waits_for)]
        none = "" if policies.policy else "none is valid: nothing is changed"
        return [
            Health("store", leases.problem),
            Health("writing", writing.problem, fatal=False),
            Health("policy", none, fatal=False),
        ]

    def _ports(self) -> Ports:
        async def metrics() -> tuple[bytes, str]:
            return meters.exposition(), meters.TEXT_TYPE

        async def refuse(_reason: str, _detail: str, _raw: bytes) -> None:
            raise StoreError("the writer takes no signals")

        async def reload() -> list[str]:
            if self._policies is None:
                raise DogwatchError(self._waits_for)
            return await self._policies.reload()

        return Ports(
            live=lambda: self._pulse.alive,
            checks=self._checks,
            metrics=metrics,
            accept=None,
            refuse=refuse,
            reload=reload,
            token=lambda: None,
        )


def _reads_as(cluster: ClusterConfig) -> str:
    """Return who reads: in a pod the writer's account may do nothing but become another one."""
    return cluster.writer.propose_as if cluster.in_cluster and cluster.writer else ""


class _Asking:
    """Whom to tell of a change: see engine.changes.asking."""

    def __init__(self, store: Store, policies: Policies, url: str) -> None:
        self._store = store
        self._policies = policies
        self._url = url

    def __call__(self, row: ChangeRow, occasion: Occasion, now: datetime) -> Sequence[Delivery]:
        policy = self._policies.policy
        if policy is None:
            return ()
        waiting = self._store.changes(states=[ChangeState.AWAITING], limit=100)
        return asks(row, occasion, now, url=self._url, needed=needed(policy, row), waiting=waiting)
