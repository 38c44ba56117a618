"""PostgreSQL at work: connections lost, locks, restarts, full disks; nothing lost, all heals."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from engine.failpoint import Point
from engine.model.errors import StoreError
from engine.store.checkpoint import Commit
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from tests.store.answers import meanwhile
from tests.store.rows import NOON, Hand, a_commit, a_delivery, a_run, a_transition
from tests.store.test_files import fill
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.postgres import Postgres


@pytest.fixture
def served(database: str) -> Iterator[Store]:
    store = Store.open(database, clock=Hand(), chance=lambda: 0.5)
    yield store
    store.close()


def test_a_read_only_database_says_so_and_heals(
    postgres: Postgres, database: str, served: Store
) -> None:
    name = database.rpartition("/")[2]
    served.add_mission(a_run("m-1"))
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    for pid in postgres.sessions(name):
        postgres.execute(f"SELECT pg_terminate_backend({pid})")
    eventually(lambda: not postgres.sessions(name) or None)
    with pytest.raises(StoreError, match=r"the database is read-only .*primary"):
        served.add_mission(a_run("m-2"))
    assert [row.id for row in served.missions()] == ["m-1"]
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    for pid in postgres.sessions(name):
        postgres.execute(f"SELECT pg_terminate_backend({pid})")
    eventually(lambda: not postgres.sessions(name) or None)
    assert served.add_mission(a_run("m-2"))


def test_a_connection_lost_in_the_middle_writes_nothing_and_the_next_call_succeeds(
    postgres: Postgres, database: str, served: Store
) -> None:
    name = database.rpartition("/")[2]
    epoch = served.claim(0)

    def cut_off() -> None:
        with served.write() as connection:
            connection.exec_driver_sql("UPDATE partitions SET next_offset = 99")
            (mine,) = connection.exec_driver_sql("SELECT pg_backend_pid()").scalars()
            postgres.execute(f"SELECT pg_terminate_backend({mine})")
            eventually(lambda: mine not in postgres.sessions(name) or None)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreError, match=r"server is shutting down|connection was lost"):
        cut_off()
    assert served.load(0).next_offset == 0
    assert served.commit(0, epoch, a_commit(1)).new_firings == ("f-1",)


def test_a_server_that_is_restarted_is_met_again_without_a_restart_here(
    a_postgres: Postgres,
) -> None:
    place = a_postgres.url(a_postgres.database())
    with closing(Store.open(place, clock=Hand())) as store:
        epoch = store.claim(0)
        for number, end in enumerate((a_postgres.stop, a_postgres.crash)):
            store.commit(0, epoch, a_commit(number))
            end()
            for _ in range(2):
                with pytest.raises(StoreError, match="can not be reached; check that it runs"):
                    store.commit(0, epoch, a_commit(number + 10))
            a_postgres.start()
            assert store.load(0).next_offset == number + 1
        assert store.commit(0, epoch, a_commit(10)).new_firings == ("f-10",)
        assert [row.id for row in store.missions()] == ["m-10", "m-1", "m-0"]


def waiting(postgres: Postgres, name: str) -> int:
    """Return how many sessions of a database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    return int(postgres.execute(f"{query}'{name}'")[0][0])


def test_a_claim_waits_for_the_commit_that_is_under_way(
    postgres: Postgres, database: str, served: Store
) -> None:
    name = database.rpartition("/")[2]
    old = served.claim(0)
    claimed: list[int] = []
    other = threading.Thread(target=lambda: claimed.append(served.claim(0)))

    def claim() -> None:
        other.start()
        assert eventually(lambda: waiting(postgres, name) or not other.is_alive() or None)

    with meanwhile(Point.CHECKPOINT_WRITTEN, "before", claim):
        served.commit(0, old, a_commit(1))
    other.join()
    assert claimed == [old + 1]
    assert served.positions()[0].epoch == old + 1
    assert served.load(0).next_offset == 2


def test_two_that_wait_for_each_other_both_end(
    postgres: Postgres, database: str, served: Store
) -> None:
    """The server ends the store's transaction, and the store begins it anew."""
    epoch = served.claim(0)
    bad = [Quarantined(4, "bad-json", "no", b"{")]
    served.commit(0, epoch, Commit(5, quarantined=bad))
    worse = Commit(6, {"a": b"1"}, quarantined=[Quarantined(5, "bad-json", "no", b"}")])
    name = database.rpartition("/")[2]
    with psycopg.connect(database) as rival:
        rival.execute("SET deadlock_timeout = '1h'")
        rival.execute("SELECT * FROM quarantine_counts FOR UPDATE")
        done = threading.Thread(target=served.commit, args=(0, epoch, worse))
        done.start()
        assert eventually(lambda: waiting(postgres, name) or None)
        rival.execute("SELECT * FROM partitions FOR UPDATE")
        deadlocks = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{name}'"
        rival.commit()
        done.join()
    assert eventually(lambda: postgres.execute(deadlocks)[0][0] or None) == 1
    assert served.load(0).next_offset == 6
    assert served.quarantine_counts() == {"bad-json": 2}


def test_a_storm_of_groups_needs_no_more_locks_than_the_server_has(served: Store) -> None:
    told = [
        a_delivery(f"d-{n}", incident=f"f-{n}", shared={"group": str(n)}, since=NOON)
        for n in range(500)
    ]
    found: list[int] = []
    with meanwhile(Point.OUTBOX_ROW, "after", lambda: found.extend(_locks(served))):
        served.enqueue(told)
    assert 0 < found[0] <= 64


def _locks(store: Store) -> list[int]:
    with store.read() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        own = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        return list(connection.exec_driver_sql(query + own).scalars())


def test_nothing_is_waited_for_for_ever(served: Store) -> None:
    with served.read() as connection:
        query = "SELECT name, setting FROM pg_settings"
        settings: dict[str, str] = dict(connection.exec_driver_sql(query).all())
    assert settings["lock_timeout"] == "10000"
    assert settings["statement_timeout"] == "30000"
    assert settings["idle_in_transaction_session_timeout"] == "15000"
    assert settings["application_name"] == "dogwatch"


def test_a_row_that_stays_locked_is_an_error_and_not_the_end(database: str) -> None:
    impatient = f"{database}?options=-c%20lock_timeout%3D100"
    with closing(Store.open(impatient, clock=Hand())) as store:
        store.claim(0)
        with psycopg.connect(database) as zombie:
            zombie.execute("SELECT * FROM partitions FOR UPDATE")
            with pytest.raises(StoreError, match="another transaction kept a row locked"):
                store.claim(0)
        assert store.claim(0) == 2


def test_who_stands_still_in_a_transaction_loses_it_and_its_locks(database: str) -> None:
    hasty = f"{database}?options=-c%20idle_in_transaction_session_timeout%3D100"
    with (
        closing(Store.open(database, clock=Hand())) as store,
        closing(Store.open(hasty, clock=Hand())) as zombie,
    ):
        epoch = zombie.claim(0)

        def stand_still() -> None:
            with zombie.write() as held:
                held.exec_driver_sql("UPDATE partitions SET next_offset = 99")
                assert store.claim(0) == epoch + 1  # waits for the lock, which the zombie loses
                held.exec_driver_sql("SELECT 1")

        with pytest.raises(StoreError, match="stood still for too long"):
            stand_still()
        assert store.load(0).next_offset == 0


def test_many_processes_open_an_empty_database_at_once(database: str) -> None:
    script = (
        "import sys; from engine.store.store import Store;"
        "from engine.model.ports import SystemClock;"
        "s = Store.open(sys.argv[1], clock=SystemClock()); print(s.claim(0)); s.close()"
    )
    command = [sys.executable, "-c", script, database]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    epochs = sorted(int(process.communicate(timeout=120)[0]) for process in running)
    assert epochs == [1, 2, 3, 4]


def test_any_text_and_any_length_comes_back_as_it_was(served: Store) -> None:
    epoch = served.claim(0)
    keys = ["a\x00b", "\x01", "\x010\x00\x01", "\x02x", "k" * 5000, "\U0001f6a8" * 700, ""]
    state = {key: key.encode() for key in keys}
    record = b'[{"id":"s","time":"2026-01-31T12:00:00Z"}]'
    cause = "s-" + "\U0001f6a8" * 5000
    served.commit(0, epoch, a_commit(1, state=state, signals={cause: record}))
    assert served.load(0).state == state
    assert served.signal(cause) == record
    odd = {"n": float("nan"), "most": [float("inf"), "NaN"]}
    zero = a_transition(
        "f-2", value=odd, key={"a\x00": "b\x00\x01"}, reason="was \x00", cause=cause
    )
    served.commit(0, epoch, Commit(2, dict.fromkeys(keys[:5]), transitions=[zero]))
    firing = served.firing("f-2")
    assert firing is not None
    assert (firing.key, firing.reason) == (zero.key, zero.reason)
    assert firing.value == {"n": None, "most": [None, "NaN"]}
    assert [one.noun for one in served.trace(cause)] == ["signal", "firing", "transition"]
    assert set(served.load(0).state) == set(keys[5:])


@pytest.fixture
def small_disk(a_postgres: Postgres) -> Iterator[Path]:
    """A file system of 24 MiB that the server may write to."""
    folder = a_postgres.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_of_the_server_refuses_commits_and_heals(
    a_postgres: Postgres, small_disk: Path
) -> None:
    (small_disk / "space").mkdir()
    (small_disk / "space").chmod(0o777)
    a_postgres.own(small_disk / "space")
    a_postgres.execute(f"CREATE TABLESPACE small LOCATION '{small_disk / 'space'}'")
    place = a_postgres.url(a_postgres.database("TABLESPACE small"))
    with closing(Store.open(place, clock=Hand())) as store:
        epoch = store.claim(0)
        store.commit(0, epoch, a_commit(1))
        filler = small_disk / "filler"
        fill(filler)
        noise = random.Random(1).randbytes(5_000_000)  # no compression makes it shorter
        big = a_commit(2, state={"noise": noise})
        with pytest.raises(StoreError, match=r"disk of the server is full; nothing was written"):
            store.commit(0, epoch, big)
        assert store.load(0).next_offset == 2
        filler.unlink()
        assert store.commit(0, epoch, big).new_missions == ("m-2",)
