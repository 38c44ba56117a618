"""`dogwatch run --role node`: looks at the devices of one node and reports them, for ever.

It needs no store, no bus and no rights in the cluster.
"""

import asyncio
import secrets
import socket
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import structlog

from engine import meters
from engine.app.config import AppConfig, NodeConfig
from engine.app.process import Process, Pulse
from engine.model.errors import ConfigError, DogwatchError, Retryable, StoreError
from engine.model.node_report import Report
from engine.model.ports import SystemClock
from engine.node.drives import SmartLog
from engine.node.look import Place, look
from engine.node.nvidia import gpus
from engine.node.sending import Accepted, RefusedError, Sender
from engine.web.app import Health, Ports, build

LOG = structlog.get_logger()
LOOK_S = 20.0
"""How long a look may take until it is reported that there is none."""
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_CHANCE = secrets.SystemRandom()
"""A thousand agents that lost their receiver must not come back in step."""


class Newest:
    """A queue of one report: the newest wins."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._came = asyncio.Event()

    def put(self, report: Report) -> None:
        """Have this report in the place of one that waits."""
        self._report = report
        self._came.set()

    async def take(self) -> Report:
        """Return the report, once there is one."""
        while (report := self._report) is None:
            self._came.clear()
            await self._came.wait()
        self._report = None
        return report

    def give_back(self, report: Report) -> None:
        """Have a report that was not sent, unless there is a newer one."""
        if self._report is None:
            self.put(report)


class NodeProcess:
    """The parts of the agent and how they are started and ended."""

    def __init__(self, settings: AppConfig, listener: socket.socket) -> None:
        if settings.node is None:
            raise ConfigError(
                "--role node: the configuration has no `node`, what to read and where to report"
            )
        self._settings = settings.node
        self._pulse = Pulse(SystemClock())
        self._looking = "there was no look yet"
        self._sending = "nothing was sent yet"
        self._process = Process(build(self._ports()), listener)

    async def run(self) -> None:
        """Serve health and metrics, look and report until a signal asks to stop."""
        await self._process.run(self._work, self._turn())

    async def _work(self) -> None:
        settings, newest = self._settings, Newest()
        sender = Sender(settings.url, settings.token_file, settings.ca_file)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._look_on(newest)),
                    group.create_task(self._send_on(sender, newest)),
                ]
                LOG.info("running", listen=self._process.url, node=settings.name, roles=["node"])
                await self._process.until_stopped()
                for task in tasks:
                    task.cancel()
        finally:
            await sender.aclose()

    async def _look_on(self, newest: Newest) -> None:
        """Look every so often, each node at its own moment of that."""
        settings, loop = self._settings, asyncio.get_running_loop()
        place = Place(Path(settings.root), SmartLog(Path(settings.root), loop.time), gpus)
        due = loop.time() + phase_s(settings)
        going_on: Future[Report] | None = None
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            if going_on is None:
                going_on = begun(partial(look, place, settings.cluster, settings.name))
            done, _ = await asyncio.wait({asyncio.wrap_future(going_on)}, timeout=LOOK_S)
            if done:
                report, going_on = going_on.result(), None
            else:  # a file that never answers: it holds a thread, not the agent
                report = Report(
                    settings.name, settings.cluster, faults=1, unread=["a look takes too long"]
                )
            self._judge(report)
            newest.put(report)
            due = max(due + settings.every_s, loop.time())

    def _judge(self, report: Report) -> None:
        """Have it shown what was read and what not."""
        meters.NODE_UNREAD.set(report.faults)
        problem = "" if report.looked else f"nothing can be read below {self._settings.root}"
        if problem and report.unread:
            problem = report.unread[0]
        if problem != self._looking:
            LOG.info("looked", problem=problem, unread=report.unread)
        self._looking = problem

    async def _send_on(self, sender: Sender, newest: Newest) -> None:
        """Send the newest report, again and again where it does not arrive."""
        accepted, wait_s = Accepted(), _FIRST_WAIT_S
        now = asyncio.get_running_loop().time
        while True:
            report = await newest.take()
            marked = accepted.marked(report, now())
            problem = await self._sent(sender, marked)
            if problem is None:
                accepted.take(marked, now())
                wait_s = _FIRST_WAIT_S
                continue
            newest.give_back(report)
            await asyncio.sleep(problem.retry_after_s or _CHANCE.uniform(0, wait_s))
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _sent(self, sender: Sender, report: Report) -> Retryable | None:
        """Post once; return what was wrong, counted and told when it is news."""
        problem: Retryable | None = None
        outcome = "sent"
        try:
            await sender.post(report)
        except Retryable as error:
            problem, outcome = error, "failed"
            if isinstance(error, RefusedError):
                outcome = "refused"
        meters.NODE_REPORTS.labels(outcome).inc()
        said = str(problem or "")
        if said != self._sending:
            LOG.info("reports", problem=said)
        self._sending = said
        return problem

    async def _turn(self) -> None:
        """Take note every second that the loop turns, for ever."""
        while True:
            await self._pulse.beat()

    def _ports(self) -> Ports:
        async def metrics() -> tuple[bytes, str]:
            return meters.exposition(), meters.TEXT_TYPE

        async def refuse(_reason: str, _detail: str, _raw: bytes) -> None:
            raise StoreError("the agent of a node takes no signals")

        async def reload() -> list[str]:
            raise DogwatchError("the agent of a node has no rules")

        return Ports(
            live=lambda: self._pulse.alive,
            checks=lambda: [
                Health("look", self._looking),
                Health("receiver", self._sending, fatal=False),
            ],
            metrics=metrics,
            accept=None,
            refuse=refuse,
            reload=reload,
            token=lambda: None,
        )


def begun(work: Callable[[], Report]) -> Future[Report]:
    """Begin `work` in a thread of its own, for which the process does not wait when it ends."""
    outcome: Future[Report] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, name="look", daemon=True).start()
    return outcome


def phase_s(settings: NodeConfig) -> float:
    """Return when within an interval this node looks: a thousand nodes are spread over it."""
    word = f"{settings.cluster}/{settings.name}"
    return zlib.crc32(word.encode()) % 1000 / 1000 * settings.every_s
