"""PostgreSQL: a place that can not be used is refused in a line that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.model.errors import StoreError
from engine.store.postgres import unsuitable
from engine.store.store import Store
from tests.store.rows import Hand

if TYPE_CHECKING:
    from tests.testbeds.postgres import Postgres


def refused(place: str, password: str | None = None) -> str:
    """Return the one line with which a place is refused."""
    with pytest.raises(StoreError) as caught:
        Store.open(place, clock=Hand(), password=password).close()
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("{user}@127.0.0.1:1/x", "can not be reached; check that it runs"),
        ("{user}@no-such-host.invalid/x", "host name is not known"),
        ("dogwatch:hunter22@127.0.0.1:{port}/postgres", "user or password are wrong"),
        ("dogwatch@127.0.0.1:{port}/postgres", "user or password are wrong"),
        ("stranger:hunter22@127.0.0.1:{port}/postgres", "user or password are wrong"),
        ("{user}@127.0.0.1:{port}/nowhere", "no such database; create it"),
        ("{user}@127.0.0.1:{port}", "no database named"),
        ("dogwatch:a@hunter22@127.0.0.1:{port}/x", "store.url can not be read"),
        ("dogwatch:hunter22@127.0.0.1:port/x", "store.url can not be read"),
        ("{user}@127.0.0.1:{port}/postgres?sslmode=require", "no connection by TLS"),
        ("{user}@127.0.0.1:{port}/postgres?colour=red", "a parameter that is not known"),
    ],
)
def test_a_place_that_can_not_be_used_is_refused_with_what_helps(
    postgres: Postgres, place: str, words: str
) -> None:
    user = f"dogwatch:{postgres.password}"
    said = refused("postgresql://" + place.format(user=user, port=postgres.port))
    assert words in said
    assert postgres.password not in said
    assert "hunter22" not in said


def test_a_password_by_itself_goes_before_the_one_of_the_url(postgres: Postgres) -> None:
    name = postgres.database()
    url = postgres.url(name, password="wrong")
    Store.open(url, clock=Hand(), password=postgres.password).close()
    said = refused(postgres.url(name), password="hunter22")
    assert "user or password are wrong" in said
    assert "hunter22" not in said
    postgres.drop(name)


@pytest.mark.parametrize(
    ("version", "encoding", "words"),
    [
        ("15.0", "UTF8", ""),
        ("18beta1", "UTF8", ""),
        ("17.2 (Debian 17.2-1)", "UTF8", ""),
        ("14.11 (Debian 14.11-1)", "UTF8", "PostgreSQL 14.11 (Debian 14.11-1); 15 or newer"),
        ("16.1", "SQL_ASCII", "encoding is SQL_ASCII; create it with UTF8"),
    ],
)
def test_a_server_that_is_too_old_is_named(version: str, encoding: str, words: str) -> None:
    said = unsuitable(version, encoding)
    assert words in said
    assert bool(said) is bool(words)


def test_a_database_that_can_not_hold_every_text_is_refused(postgres: Postgres) -> None:
    name = postgres.database("ENCODING 'LATIN1' TEMPLATE template0")
    assert "encoding is LATIN1; create it with UTF8" in refused(postgres.url(name))
    postgres.drop(name)


def test_a_store_of_a_newer_dogwatch_is_refused(postgres: Postgres, database: str) -> None:
    Store.open(database, clock=Hand()).close()
    name = database.rpartition("/")[2]
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", name)
    assert "its schema is '9999'" in refused(database)
    assert "upgrade dogwatch" in refused(database)


def test_a_user_without_rights_is_told_so(postgres: Postgres, database: str) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(f"CREATE ROLE guest_{name} LOGIN PASSWORD 'guest'")
    said = refused(postgres.url(name, f"guest_{name}", "guest"))
    assert "this user may not do that; grant it" in said
    postgres.execute(f"DROP ROLE guest_{name}")


def test_a_full_server_takes_no_more_connections(postgres: Postgres, database: str) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(f"CREATE ROLE crowd_{name} LOGIN PASSWORD 'crowd' CONNECTION LIMIT 0")
    said = refused(postgres.url(name, f"crowd_{name}", "crowd"))
    assert "takes no more connections; raise max_connections, or run fewer" in said
    postgres.execute(f"DROP ROLE crowd_{name}")
