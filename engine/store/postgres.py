"""PostgreSQL 15 and newer: how it is reached, and what its errors say to a person.

Source: PostgreSQL 15 documentation, Appendix A (error codes) and 34.1.2 (connection parameters).
"""

import json
import re
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from engine.model.errors import StoreError
from engine.model.ids import canonical

OLDEST: Final = 15
"""The oldest major version of the server."""
SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
CONNECT_S: Final = 5
STATEMENT_S: Final = 30
LOCK_S: Final = 10
IDLE_S: Final = 15
"""Seconds after which the server ends the transaction of a process that stands still in it."""
POOL: Final = 4
OVERFLOW: Final = 6
"""Connections of one process: POOL stay open, OVERFLOW more while many threads ask."""
POOL_WAIT_S: Final = 30.0
_SETTINGS: Final = (
    f"-c statement_timeout={STATEMENT_S}s -c lock_timeout={LOCK_S}s "
    f"-c idle_in_transaction_session_timeout={IDLE_S}s -c timezone=UTC"
)
_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_S,
    "application_name": "dogwatch",
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_UNREADABLE: Final = (
    "store.url can not be read; write postgresql://USER@HOST:PORT/DATABASE, and signs like "
    "@ : / in a user or password as %40 %3A %2F"
)
AGAIN: Final = frozenset({"40001", "40P01"})
"""Errors with which the server ends one of two transactions that wait for each other."""

_SENTENCES: Final = {
    "25006": "the database is read-only (a standby, or set so); point store.url at the primary",
    "25P03": "the transaction stood still for too long and was ended; nothing was written",
    "42501": "this user may not do that; grant it the rights on the database and its schema",
    "53100": "the disk of the server is full; nothing was written, free some space",
    "53200": "the server is out of memory; nothing was written",
    "53300": "the server takes no more connections; raise max_connections, or run fewer processes",
    "55P03": "another transaction kept a row locked for too long; nothing was written",
    "57014": "the server did not finish in time; nothing was written",
    "57P01": "the server is shutting down",
    "57P02": "the server crashed and starts again",
    "57P03": "the server is starting up, or shutting down",
    "58030": "the disk of the server refused a read or a write",
    "58P01": "the server misses a file of its own; restore a backup",
    "XX001": "the database is damaged; restore a backup",
    "XX002": "an index of the database is damaged; REINDEX it, or restore a backup",
}
# A connection that fails has no code: its text, which libpq and the server write, has to do.
_WORDS: Final = (
    (r"password authentication failed|no password supplied|authentication failed", "28P01"),
    (r"no pg_hba\.conf entry", "28000"),
    (r'role "[^"]*" (does not exist|is not permitted)', "28000"),
    (r'database "[^"]*" does not exist', "3D000"),
    (r"too many (clients|connections)|connection slots are reserved", "53300"),
    (r"system is (starting up|shutting down|not yet accepting)|in recovery mode", "57P03"),
    (r"could not translate host name|[Nn]ame or service not known|failed to resolve", "name"),
    (r"Name resolution|No address associated", "name"),
    (r"invalid (URI|connection option|integer value)", "option"),
    (r"\bSSL\b|certificate", "tls"),
    (r"connection (failed|is bad)|connection timeout", "08001"),
)
_UNREACHED: Final = {
    "28P01": "user or password are wrong; check the user in store.url and store.password_file",
    "28000": "the server does not let this user in; check its role and pg_hba.conf",
    "3D000": "there is no such database; create it (createdb), its encoding UTF8",
    "name": "the host name is not known; check store.url",
    "option": "store.url has a parameter that is not known, or not so",
    "tls": "no connection by TLS; check sslmode and its files in store.url, and the server's",
    "08001": "the server can not be reached; check that it runs, its host and port",
}


def engine_of(place: str, password: str | None) -> Engine:
    """Return an engine for the URL `place`, not connected yet.

    Raises:
        StoreError: the URL can not be read; the message holds no part of it.
    """
    try:
        url = make_url(place).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise StoreError(_UNREADABLE) from None
    if "@" in (url.host or ""):  # the end of a password, which no message shall show
        raise StoreError(_UNREADABLE)
    if not url.database:
        raise StoreError(f"{shown(url)}: no database named; write postgresql://USER@HOST/DATABASE")
    if password is not None:
        url = url.set(password=password)
    given = {name: value for name, value in _CONNECT.items() if name not in url.query}
    given["options"] = f"{_SETTINGS} {url.query.get('options', '')}".strip()  # the last one wins
    return create_engine(
        url,
        connect_args=given,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=POOL_WAIT_S,
        pool_pre_ping=True,
        json_serializer=serialized,
        json_deserializer=json.loads,
    )


def serialized(value: Any) -> str:
    """Return `value` as JSON that the server takes: a number that is none becomes null."""
    text = canonical(value).decode()
    if "NaN" in text or "Infinity" in text:
        text = canonical(json.loads(text, parse_constant=lambda _: None)).decode()
    return text


def shown(url: URL) -> str:
    """Return `url` for messages: without user, password and parameters."""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or ''}{port}/{url.database or ''}"


def suitable(connection: Connection, place: str) -> None:
    """Refuse a server that is too old, or a database that can not hold every text.

    Raises:
        StoreError: says what was found, and what is needed.
    """
    version = str(connection.exec_driver_sql("SHOW server_version").scalar())
    encoding = str(connection.exec_driver_sql("SHOW server_encoding").scalar())
    if fault := unsuitable(version, encoding):
        raise StoreError(f"{place}: {fault}")


def unsuitable(version: str, encoding: str) -> str:
    """Return why a server of `version` with a database of `encoding` will not do, or nothing."""
    major = int("".join(takewhile(str.isdigit, version)) or 0)
    if major < OLDEST:
        return f"the server is PostgreSQL {version}; {OLDEST} or newer is needed"
    if encoding != "UTF8":
        return f"the database's encoding is {encoding}; create it with UTF8"
    return ""


def explain(error: BaseException, place: str) -> StoreError:
    """Return the StoreError that says what `error` of psycopg means."""
    code = getattr(error, "sqlstate", None)
    text = _first_line(error)
    if code is None:
        code = next((code for words, code in _WORDS if re.search(words, str(error))), None)
    sentence = _SENTENCES.get(code or "") or _UNREACHED.get(code or "")
    if sentence is None and code is None:
        sentence = "the connection was lost; the next call makes a new one"
    return StoreError(f"{place}: {sentence} ({text})" if sentence else f"{place}: {text}")


def _first_line(error: BaseException) -> str:
    """Return what the server or libpq said, in one line, the last try of several."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("- ", "Multiple connection"))]
    return (told or lines or [type(error).__name__])[0].removeprefix("connection failed: ")
