"""The engine behind the store: how it is opened, how a transaction runs, what its errors say."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import random
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.model.errors import StoreError
from engine.model.ids import canonical
from engine.model.instant import to_us
from engine.model.ports import Clock
from engine.sqlite import PRAGMAS, explain, prepare
from engine.store.dialect import begin
from engine.store.migrate import migrate

MARK = 0x44575354  # DWST


class Database:
    """A SQLite file with the schema of this version; safe to use from many threads."""

    def __init__(
        self, engine: Engine, path: Path, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._path = path
        self._clock = clock
        self._chance = chance
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, *, clock: Clock, chance: Callable[[], float] = random) -> Self:
        """Open the store at `path`, a file or a `sqlite:///` URL; create or migrate it.

        `chance` gives the jitter of waiting times, in [0, 1).

        Raises:
            StoreError: it is damaged, of another kind, made by a newer version, or the disk
                refuses; the message says which.
        """
        place = str(path).removeprefix("sqlite:///")
        if "://" in place:
            raise StoreError(f"store '{path}' is not known; allowed are a path or sqlite:///PATH")
        file = Path(place)
        prepare(file, MARK)
        store = cls(_engine(file), file, clock, chance)
        try:
            with store.write() as connection:
                migrate(connection, file)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one transaction: all of it, or none."""
        with (
            self._writing,
            self._explained(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read from one point in time."""
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970."""
        return to_us(self._clock.now())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise explain(error.orig or error, self._path) from error
        except (SQLAlchemyError, ValueError, TypeError) as error:
            first = str(error).partition("\n")[0]
            raise StoreError(f"{self._path}: {first}") from error


def _engine(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        json_serializer=lambda value: canonical(value).decode(),
        json_deserializer=json.loads,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(pragma)

    event.listen(engine, "begin", begin)
    return engine
