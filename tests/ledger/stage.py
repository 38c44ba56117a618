"""What a ledger is played to: processes of dogwatch over one configuration, and where they write.

Embedded it is one process with its files; scaled out it is one process a member, each with the
roles that it has, over Kafka and PostgreSQL.
"""

from __future__ import annotations

import base64
import signal
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import psycopg
import yaml

from tests.testbeds.process import NotReadyError, eventually, reserve_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.ledger.nursery import Child, Nursery
    from tests.testbeds.kafka import Cluster

TOKEN = "let me in"
SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
READY_S = 60.0
NEVER_S = 86_400.0
"""A ledger goes as fast as it is taken: nothing of it may be shed for that."""
SESSION_S = 3
"""After how long a silent worker is given up."""
CONDITIONS = -2
"""The number of the topic of conditions among the positions in the store."""

Settings = dict[str, Any]
Part = tuple[str, tuple[str, ...]]
"""A member's name and its roles; no roles: all of them."""


class Reading(Protocol):
    """How far the logs go, and what the store holds."""

    def ends(self) -> dict[int, int]:
        """Return the end of each log by its number in the store."""

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query to the store."""


class Member:
    """One process of a stage; it can be started again and again."""

    def __init__(self, nursery: Nursery, folder: Path, part: Part, held: ExitStack) -> None:
        self.name, self.roles = part
        self.url = f"http://127.0.0.1:{reserve_port(held)}"
        self.config = folder / f"{self.name}.yaml"
        self.log = folder / f"{self.name}.log"
        self.starts = 0
        self._nursery = nursery
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        """Whether its process is there; it may be starting, or stand still."""
        return self._child is not None and self._child.running

    def configure(self, settings: Settings) -> None:
        """Write its configuration: that of the stage, with an address of its own."""
        http = {"listen": self.url.removeprefix("http://"), "token_file": "token"}
        self.config.write_text(yaml.safe_dump({**settings, "http": http}))

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start its process; one that runs is left alone."""
        if self.running:
            return
        self.starts += 1
        roles = [word for role in self.roles for word in ("--role", role)]
        command = ["run", "--config", str(self.config), *roles]
        self._child = self._nursery.spawn(command, self.log, environment)

    def is_ready(self) -> bool | None:
        """Whether it says that it is ready; None while it says anything else, or nothing."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200 or None
        except httpx.TransportError:
            return None

    def await_ready(self) -> None:
        """Wait until it is ready. Raises NotReadyError with the end of its log."""
        found = eventually(self.is_ready, READY_S, lambda: not self.running, every_s=0.02)
        if found is None:
            state = "is not ready" if self.running else "has ended"
            raise NotReadyError(f"{self.name} {state}; its log ends with:\n{self.tail()}")

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._child.kill()

    def leave(self) -> None:
        """Ask it to end in good order, and wait for that."""
        if self._child is not None:
            self._child.stop()

    def freeze(self) -> None:
        """Let it stand still, as a machine does that hangs."""
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._child is not None:
            self._child.signal(signal.SIGCONT)

    def await_end(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it came."""
        return self._child is None or self._child.wait(timeout_s)

    def command(self, *arguments: str) -> str:
        """Run another verb on its configuration; return what that printed."""
        printed = self.log.with_suffix(".printed")
        printed.unlink(missing_ok=True)
        child = self._nursery.spawn([*arguments, "--config", str(self.config)], printed)
        assert child.wait(READY_S), f"'{arguments}' does not end"
        return printed.read_text()

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of its log."""
        return self._child.tail(lines) if self._child else "(it was never started)"


@dataclass
class Stage:
    """The members that play, the addresses that take signals, and what can be read of it all.

    `close` it in the end.
    """

    members: list[Member]
    reading: Reading
    folder: Path
    settings: Settings
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def intakes(self) -> list[str]:
        """The addresses that take signals."""
        return [one.url for one in self.members if not one.roles or "web" in one.roles]

    def of(self, role: str) -> list[Member]:
        """Return the members that have a role."""
        return [one for one in self.members if not one.roles or role in one.roles]

    def play(self, rules: str, receiver: str, extra: Mapping[str, Any] | None = None) -> None:
        """Write rules and configuration: all that is told goes to the URL `receiver`."""
        (self.folder / "rules").mkdir()
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "hook").write_text(SECRET)
        self.write_rules(rules)
        own = {"rules": ["rules"], "stream": {"shed_after_s": NEVER_S}}
        self.settings = {**self.settings, **told_to(receiver), **own, **(extra or {})}
        for member in self.members:
            member.configure(self.settings)

    def write_rules(self, text: str) -> None:
        """Replace the rule file at once; processes that run find it."""
        new = self.folder / "rules.new"
        new.write_text(text)
        new.replace(self.folder / "rules" / "rules.yaml")

    def start(self) -> None:
        """Start every member and wait until all are ready."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.await_ready()
        if isinstance(self.reading, Servers):
            assert eventually(self.reading.hears_time, READY_S), "nobody folds the second stage"

    def command(self, *arguments: str) -> str:
        """Run another verb on the configuration of the first member; return what it printed."""
        return self.members[0].command(*arguments)

    def close(self) -> None:
        """End every member and give back what the stage holds."""
        for member in self.members:
            member.thaw()
            member.kill()
        self.held.close()


class Files:
    """Reads the files of an embedded dogwatch."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def ends(self) -> dict[int, int]:
        """Return the end of the one log."""
        ((end,),) = self._query("signals.db", 'SELECT coalesce(max("offset") + 1, 0) FROM log')
        return {0: end}

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the store."""
        return self._query("dogwatch.db", query)

    def _query(self, file: str, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._data / file, timeout=30)) as connection:
            return connection.execute(query).fetchall()


class Servers:
    """Reads the topics below a prefix, and the database at a URL."""

    def __init__(self, kafka: Cluster, prefix: str, database: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._database = database

    def ends(self) -> dict[int, int]:
        """Return the end of each partition of signals, and that of the conditions."""
        ends = dict(self._kafka.topics.ends(f"{self._prefix}signals"))
        (conditions,) = self._kafka.topics.ends(f"{self._prefix}conditions").values()
        return {**ends, CONDITIONS: conditions}

    def hears_time(self) -> bool | None:
        """Whether the second stage has folded anything, which is the time of today.

        The ledger plays long ago: a condition folded before that would be as good as forgotten.
        """
        where = f"partition = {CONDITIONS} AND next_offset > 0"
        return bool(self.select(f"SELECT 1 FROM partitions WHERE {where}")) or None

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the store."""
        with psycopg.connect(self._database) as connection:
            return connection.execute(query.encode()).fetchall()


def embedded(nursery: Nursery, folder: Path) -> Stage:
    """Return a stage of one process with everything in files below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    held = ExitStack()
    member = Member(nursery, folder, ("all", ()), held)
    return Stage([member], Files(folder / "data"), folder, {"data_dir": "data"}, held)


def crew(workers: int, runners: int = 1, webs: int = 1) -> list[Part]:
    """Return the parts of a scaled-out stage, one process each."""
    numbers = {"worker": workers, "runner": runners, "web": webs}
    return [(f"{role}-{n}", (role,)) for role, count in numbers.items() for n in range(count)]


def scaled(
    nursery: Nursery, folder: Path, kafka: Cluster, database: str, parts: Sequence[Part]
) -> Stage:
    """Return a stage of processes over topics of their own and the empty database at a URL."""
    folder.mkdir(parents=True, exist_ok=True)
    held = ExitStack()
    prefix = kafka.topic_prefix()
    bus = {
        "brokers": kafka.bootstrap.split(","),
        "topic_prefix": prefix,
        "group": f"{prefix}group",
        "partitions": 6,
        "replication_factor": min(3, len(kafka.brokers)),
        "min_insync_replicas": min(2, len(kafka.brokers)),
        "session_timeout_s": SESSION_S,
    }
    if len(kafka.brokers) == 1:
        bus["allow_unsafe"] = ["replication_factor", "min_insync_replicas"]
    settings = {"data_dir": "data", "store": {"url": database}, "bus": {"kafka": bus}}
    members = [Member(nursery, folder, part, held) for part in parts]
    return Stage(members, Servers(kafka, prefix, database), folder, settings, held)


def told_to(receiver: str, names: Iterable[str] = ("hook", "pager")) -> Settings:
    """Return the settings that tell everything to the sink `hook`, what is critical to `pager`."""
    hook = {"type": "webhook", "secret_file": "hook", "allow_loopback_http": True}
    return {
        "sinks": {name: {**hook, "url": f"{receiver}/{name}"} for name in names},
        "routes": [
            {"sinks": ["hook"]},
            {"sinks": ["pager"], "match": {"severity": ["critical"]}, "on": ["fire"]},
        ],
    }
