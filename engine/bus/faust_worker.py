"""A member of the consumer group: faust brings the records, the owner folds them.

Faust runs within our loop, without its web server, tables, leader and offsets: where a log
goes on is what its owner says, and the offsets that Kafka keeps are a hint for people.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
from faust.types import TP, EventT

from engine.bus.brokers import CLIENT_ERRORS, EARLIEST, LATEST, Brokers
from engine.bus.connection import connection, quiet, said
from engine.bus.faust_consumer import WAITING_RECORDS, Message, OurApp, Transport
from engine.bus.holding import Holdings, Owner, Record, Start
from engine.bus.settings import KafkaConfig
from engine.bus.topics import Log, Topic
from engine.failpoint import Point, around
from engine.model.errors import DogwatchError, StoreError

__all__ = ["KafkaWorker", "Owner", "Record", "Start"]

LOG = structlog.get_logger()
TURN_S: Final = 0.5
CHECK_S: Final = 5.0
"""How often the brokers are asked whether all is well, and told how far we are."""
HEARTBEAT_MS: Final = 2_000
"""How soon at the latest a member hears that another one came, went, or was given up."""
WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 15.0
"""How long to wait before the next try to join the group, at first and at last."""
STOP_S: Final = 20.0


class KafkaWorker:
    """Folds the logs that the group gives to this process, through its owner.

    `problem` says why logs stand still, in one line; it is empty while all is well.
    """

    def __init__(self, settings: KafkaConfig, owner: Owner, *, member: str) -> None:
        """Prepare; `member`: no other process has it, but one that was killed may have had it."""
        quiet()
        self._settings = settings
        self._member = member
        self._brokers = Brokers(settings, f"{member}-check")
        self._names = {
            settings.topic_prefix + topic: topic for topic in (Topic.SIGNALS, Topic.CONDITIONS)
        }
        self._holdings = Holdings(owner, self, again_s=settings.session_timeout_s)
        self._app: OurApp | None = None
        self._failure: BaseException | None = None
        self._trouble = ""

    @property
    def problem(self) -> str:
        """Why logs stand still, in one line."""
        return self._trouble or next(iter(self._holdings.problems.values()), "")

    async def run(self) -> None:
        """Fold until it is cancelled; then let go of all logs, and leave the group at once.

        Raises:
            BaseException: what the owner raised that is no StoreError.
        """
        wait_s = WAIT_S
        try:
            while True:
                joined = await self._attempt()
                wait_s = WAIT_S if joined else min(2 * wait_s, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)
        finally:
            await self._brokers.aclose()

    def holds(self, log: Log, offset: int) -> bool:
        """Whether a record of `log` at `offset` is known to wait."""
        return self._app is not None and offset < self._app.ours.thread.end_of(self._place(log))

    def lost(self, log: Log) -> None:
        """Take `log` over again after session_timeout_s, if it is ours then: somebody had it."""
        self._holdings.lost(log)

    async def bounds(self, log: Log) -> tuple[int, int]:
        """Return the first offset of `log`, and the one that its next record gets.

        Raises:
            StoreError: the brokers can not be asked now, or nobody leads the log.
        """
        place = self._place(log)
        first = (await self._brokers.offsets([place], EARLIEST)).get(place)
        end = (await self._brokers.offsets([place], LATEST)).get(place)
        if first is None or end is None:
            raise StoreError(f"bus.kafka: partition {log.partition} of {place.topic} has no leader")
        return first, end

    async def stands(self, log: Log, offset: int) -> tuple[int, int]:
        """Return offset and time (ms) of the first record of `log` from `offset` on.

        Raises:
            StoreError: it can not be read now.
        """
        return await self._brokers.stands(self._place(log), offset)

    async def seek(self, log: Log, offset: int) -> int:
        """Go on at `offset`; return the number that records fetched from then on carry.

        Raises:
            StoreError: this process is not in the group, or the log is not its own.
        """
        if self._app is None:
            raise StoreError("bus.kafka: not in the group")
        return await self._app.ours.seek_to(self._place(log), offset)

    async def _attempt(self) -> bool:
        """Be a member of the group until that ends; return whether it had begun."""
        joined = False
        try:
            await self._brokers.evict(self._settings.group, self._member)
            self._app = self._new_app()
            try:
                await self._started(self._app)
                joined = True
                await self._supervised(self._app)
            finally:
                await self._drained(self._app)
        except CLIENT_ERRORS as error:
            self._refused(said(error))
        except DogwatchError as error:
            self._refused(str(error))
        return joined

    async def _started(self, app: OurApp) -> None:
        """Start `app`; return once it has joined the group."""
        starting = asyncio.ensure_future(app.start())
        try:
            while not starting.done():
                await asyncio.wait([starting], timeout=TURN_S)
                self._raise_fault(app)
                app.ours.thread.touch()
            starting.result()
        finally:
            if not starting.done():
                starting.cancel()
                with suppress(asyncio.CancelledError):
                    await starting

    async def _supervised(self, app: OurApp) -> None:
        checking = asyncio.create_task(self._check_often(app))
        try:
            while True:
                await asyncio.wait([checking], timeout=TURN_S)
                self._raise_fault(app)
                if checking.done():
                    checking.result()
                app.ours.thread.touch()
        finally:
            checking.cancel()
            with suppress(asyncio.CancelledError):
                await checking

    def _raise_fault(self, app: OurApp) -> None:
        self._holdings.check()
        if self._failure is not None:
            raise self._failure
        if app.crashed:
            reason = app.crash_reason
            raise StoreError(f"bus.kafka: {said(reason) if reason else 'the consumer ended'}")

    async def _drained(self, app: OurApp) -> None:
        """Let the owner write what is pending, and leave the group."""
        try:
            await self._holdings.revoked(self._holdings.held())
        finally:
            try:
                async with asyncio.timeout(STOP_S):
                    await app.stop()
            except CLIENT_ERRORS as error:
                LOG.warning("group left to itself", error=said(error))
            self._app = None
            # More may have come meanwhile.
            await self._holdings.revoked(self._holdings.held())

    async def _check_often(self, app: OurApp) -> None:
        while True:
            try:
                await self._check(app)
            except StoreError as error:
                self._refused(str(error))
            else:
                if self._trouble:
                    LOG.info("worker is well again")
                self._trouble = ""
            await asyncio.sleep(CHECK_S)

    async def _check(self, app: OurApp) -> None:
        """See that the topics are there, and tell the brokers how far we are."""
        there = await self._brokers.topics(self._names)
        missing = [name for name in self._names if name not in there]
        if missing:
            # When they are back they may be others: each log is looked at before it goes on.
            for log in self._holdings.held():
                if self._place(log).topic in missing:
                    self._holdings.again(log)
            raise StoreError(f"bus.kafka: no topic {', '.join(missing)} on the brokers")
        offsets = {self._place(log): at for log, at in self._holdings.offsets().items()}
        await app.ours.thread.note(offsets)

    def _refused(self, why: str) -> None:
        if not self._trouble:
            LOG.warning("worker stands still", error=why)
        self._trouble = why

    def _new_app(self) -> OurApp:
        settings = self._settings
        session_ms = round(settings.session_timeout_s * 1000)
        app = OurApp(
            settings.group,
            broker=[f"kafka://{broker}" for broker in settings.brokers],
            autodiscover=False,
            loop=asyncio.get_running_loop(),
            store="memory://",
            stream_buffer_maxsize=WAITING_RECORDS,
            stream_recovery_delay=0.0,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )
        app.boot_strategy.enable_kafka_producer = False
        app.client = {
            **connection(settings, self._member),
            "group_id": settings.group,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": min(session_ms // 3, HEARTBEAT_MS),
        }
        app.assigned = lambda places: self._holdings.assigned(self._logs(places))
        app.revoked = lambda places: self._holdings.revoked(self._logs(places))
        app.out_of_range = self._out_of_range
        app.transport = Transport(app.conf.broker, app)
        for name in self._names:
            topic = app.topic(
                name,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                acks=False,
                allow_empty=True,
            )
            app.agent(topic, name=name, concurrency=1)(self._fold)
        return app

    async def _fold(self, stream: Any) -> None:
        """The agent of faust: every record of one topic, one after the other."""
        try:
            async for event in stream.noack().events():
                await self._take(event)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = error
            raise

    async def _take(self, event: EventT[bytes]) -> None:
        message: Any = event.message
        log = Log(self._names[message.topic], message.partition)
        try:
            with around(Point.RECORD_FETCHED):
                record = _record(message)
        except (OSError, StoreError):
            self._holdings.again(log)
        else:
            await self._holdings.take(log, message.turn, record)
        if self._app is not None:
            self._app.ours.taken(message)

    def _out_of_range(self, places: Iterable[TP]) -> None:
        for log in self._logs(places):
            self._holdings.again(log)

    def _place(self, log: Log) -> TP:
        return TP(self._settings.topic_prefix + log.topic, log.partition)

    def _logs(self, places: Iterable[TP]) -> list[Log]:
        return [
            Log(self._names[place.topic], place.partition)
            for place in places
            if place.topic in self._names
        ]


def _record(message: Message) -> Record:
    given: Any = message.headers or ()
    headers = tuple((name, value or b"") for name, value in given)
    return Record(
        message.offset, message.value or b"", message.key or b"", headers, int(message.timestamp)
    )
