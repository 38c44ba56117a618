"""A real PostgreSQL for tests: a server of its own on a loopback port, a database for each test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.testbeds.missing import missing
from tests.testbeds.process import Server, reserve_port

if TYPE_CHECKING:
    from collections.abc import Sequence

HOW = "install the Debian package postgresql (15 or newer)"
USER = "dogwatch"
_DEBIAN = Path("/usr/lib/postgresql")
_OLDEST = 15
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10s",
    "log_checkpoints": "off",
}


class Postgres:
    """One server with one superuser; stopped and started again by the tests that want that."""

    def __init__(self, programs: Path) -> None:
        self._held = ExitStack()
        self.port = reserve_port(self._held)
        self.password = secrets.token_hex(12)
        self._programs = programs
        self._user = _unprivileged()
        folder = tempfile.mkdtemp(prefix="dogwatch-postgres-")
        self.folder = Path(folder)
        self._held.callback(shutil.rmtree, folder, ignore_errors=True)
        self._data = self.folder / "data"
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self.server = Server(
            "postgres",
            [
                *self._as_user(),
                str(programs / "postgres"),
                "-D",
                str(self._data),
                "-p",
                str(self.port),
                *settings,
            ],
            self.folder / "log",
        )

    def create(self) -> None:
        """Make the data folder and start the server."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        self.own(self.folder, secret)
        initdb = [
            str(self._programs / "initdb"),
            f"--pgdata={self._data}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run([*self._as_user(), *initdb], check=True, capture_output=True)
        self.start()

    def own(self, *paths: Path) -> None:
        """Give paths to the user that the server runs as."""
        if self._user is not None:
            for path in paths:
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.server.start()
        self.server.ready(self._answers)

    def stop(self) -> None:
        """Stop the server as an operator does: sessions end at once."""
        if self.server.pid is not None:
            os.kill(self.server.pid, signal.SIGINT)
            self.server.stop()

    def crash(self) -> None:
        """End the server as a power failure does."""
        self.server.kill()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the server and forget its data."""
        self.stop()
        self._held.close()

    def url(self, database: str, user: str = USER, password: str | None = None) -> str:
        """Return the URL of a database, the password in it."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def database(self, rest: str = "") -> str:
        """Create a database of a new name and return that; `rest` goes on CREATE DATABASE."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} {rest}")
        return name

    def drop(self, database: str) -> None:
        """Drop a database with all its sessions."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, by itself; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def sessions(self, database: str) -> list[int]:
        """Return the server's process ids of the sessions in `database`."""
        query = f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'"
        return [pid for (pid,) in self.execute(query)]

    def _as_user(self) -> Sequence[str]:
        """Return what goes before a command: the server refuses to run as root."""
        if self._user is None:
            return ()
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            missing("postgresql", "run the tests as a user, or install the package util-linux")
        # A change of user takes the leash off that Server puts on.
        ids = [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        return (setpriv, *ids, "--pdeathsig=KILL", "--")

    def _answers(self) -> bool | None:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return None
        return True


def start_postgres() -> Postgres:
    """Start a server, or end the test where the programs are missing."""
    server = Postgres(_programs())
    try:
        server.create()
    except BaseException:
        server.close()
        raise
    return server


def _programs() -> Path:
    """Return the folder with the newest server programs."""
    found = [path.parent for path in _DEBIAN.glob("*/bin/postgres")]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).parent)
    fit = {version: path for path in found if (version := _version(path)) >= _OLDEST}
    if not fit:
        missing("postgresql", HOW)
    return fit[max(fit)]


def _version(programs: Path) -> int:
    command = [str(programs / "postgres"), "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said.split()[2].partition(".")[0])


def _unprivileged() -> pwd.struct_passwd | None:
    """Return whom the server runs as, None for the user of the tests."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name: one for one in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
