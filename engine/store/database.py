"""The engine behind the store: how it is opened, how a transaction runs, what its errors say."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from random import random
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine import failpoint
from engine.failpoint import Point
from engine.model.errors import StoreError
from engine.model.instant import to_us
from engine.model.ports import Clock
from engine.sqlite import explain as explain_sqlite
from engine.store import file, postgres
from engine.store.migrate import migrate

TRIES: Final = 6
"""How often a transaction begins that the database ends for another one's sake."""
_PAUSE_S: Final = 0.02

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", bound="Database")


class ConflictError(StoreError):
    """The database ended this transaction so that another could go on; nothing was written."""


def retried(method: Callable[Concatenate[D, P], R]) -> Callable[Concatenate[D, P], R]:
    """Let `method`, which is one transaction, begin anew where another one was in its way."""

    @wraps(method)
    def tried(self: D, /, *args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(TRIES - 1):
            try:
                return method(self, *args, **kwargs)
            except ConflictError:
                self.pause(_PAUSE_S * 2**attempt)
        return method(self, *args, **kwargs)

    return tried


class Database:
    """A database with the schema of this version; safe to use from many threads."""

    def __init__(
        self, engine: Engine, place: str, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._place = place
        self._clock = clock
        self._chance = chance
        self._still = threading.Event()
        self._closed = False
        self._served = engine.dialect.name == "postgresql"
        self._writing: AbstractContextManager[object] = (
            nullcontext() if self._served else threading.Lock()
        )
        self._reading = (
            engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            if self._served
            else engine
        )

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        clock: Clock,
        chance: Callable[[], float] = random,
        password: str | None = None,
    ) -> Self:
        """Open the store at `place`; create or migrate it.

        Args:
            place: a file, `sqlite:///PATH`, or `postgresql://USER@HOST:PORT/DATABASE`.
            clock: the wall clock.
            chance: gives the jitter of waiting times, in [0, 1).
            password: of the user; it goes before one in `place`.

        Raises:
            StoreError: it is damaged, of another kind, made by a newer version, can not be
                reached, or refuses; the message says which, and holds no password.
        """
        engine, name = _engine(str(place), password)
        store = cls(engine, name, clock, chance)
        try:
            with store.write() as connection:
                if store._served:
                    postgres.suitable(connection, name)
                migrate(connection, name)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection; one that a thread still uses is closed as it comes back."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one transaction: all of it, or none."""
        with (
            self._writing,
            self._used(),
            self._explained(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin() as transaction,
        ):
            yield connection
            with failpoint.around(Point.COMMIT):
                transaction.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read from one point in time."""
        with (
            self._used(),
            self._explained(),
            self._reading.connect() as connection,
            connection.begin(),
        ):
            yield connection

    def now_us(self) -> int:
        """Return the wall clock of this machine in microseconds since 1970."""
        return to_us(self._clock.now())

    def pause(self, seconds: float) -> None:
        """Stand still for up to `seconds`, by chance, so that two that met do not meet again."""
        self._still.wait(seconds * (0.5 + self._chance() / 2))

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Let no connection outlive the store: its pool forgot those in use as it was closed."""
        pool = self._engine.pool
        try:
            yield
        finally:
            if self._closed:
                pool.dispose()
                self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._said(error.orig or error) from error
        except OSError as error:
            raise explain_sqlite(error, self._place) from error
        except PoolTimeout as error:
            busy = f"all {postgres.POOL + postgres.OVERFLOW} connections of this process are busy"
            raise StoreError(f"{self._place}: {busy}") from error
        except (SQLAlchemyError, ValueError, TypeError) as error:
            first = str(error).partition("\n")[0]
            raise StoreError(f"{self._place}: {first}") from error

    def _said(self, error: BaseException) -> StoreError:
        if not self._served:
            return explain_sqlite(error, self._place)
        said = postgres.explain(error, self._place)
        return (
            ConflictError(str(said)) if getattr(error, "sqlstate", "") in postgres.AGAIN else said
        )


def _engine(place: str, password: str | None) -> tuple[Engine, str]:
    """Return the engine for `place`, and the name of that place for messages."""
    scheme, mark, _ = place.partition("://")
    if mark and scheme in postgres.SCHEMES:
        engine = postgres.engine_of(place, password)
        return engine, postgres.shown(engine.url)
    path = place.removeprefix("sqlite:///")
    if "://" in path:
        raise StoreError(
            f"store of kind '{scheme}' is not known; allowed are a path, sqlite:///PATH or "
            "postgresql://USER@HOST:PORT/DATABASE"
        )
    return file.engine_of(Path(path)), path
