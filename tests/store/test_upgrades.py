"""Stores of older versions: brought up to this one, with all that is in them."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from engine.failpoint import Point
from engine.model.delivery import Receipt
from engine.model.errors import StoreError
from engine.model.mission import MissionState
from engine.store import schema
from engine.store.checkpoint import Checkpoint, Position
from engine.store.file import MARK
from engine.store.migrate import FOLDER
from engine.store.partitions import checksum
from engine.store.store import Store
from tests.store.answers import an_answer_lost
from tests.store.changes_of import HOUR, a_row
from tests.store.rows import NOON, Hand, a_commit, a_delivery, a_report


def test_the_migrations_build_exactly_the_tables(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION
    with store.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_a_store_of_the_first_version_is_brought_up_with_all_that_waits_in_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    old = create_engine(f"sqlite:///{path}")
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(f"PRAGMA application_id = {MARK}")
        given = a_delivery()
        row: dict[str, Any] = {
            **dict.fromkeys(("created_at", "since", "next_at", "attempts"), 1),
            **dict.fromkeys(("mission", "error", "detail"), ""),
            **{name: getattr(given, name) for name in ("key", "sink", "change", "incident")},
            "body": given.model_dump_json(),
            "state": "waiting",
            "thread": "{}",
        }
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO deliveries ({names}) VALUES ({values})"), row)
    old.dispose()
    store = Store.open(path, clock=Hand())
    assert store.due("web", NOON) == [given]
    store.sent(given.key, Receipt(), NOON)
    assert store.due("web", NOON) == []
    store.close()


def test_a_store_of_part_2_is_brought_up_without_losing_a_row(bare_place: str) -> None:
    place = bare_place
    old = raw_engine(place)
    with old.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        if "://" not in place:
            connection.exec_driver_sql(f"PRAGMA application_id = {MARK}")
        for table, row in OLD_ROWS.items():
            names = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    old.dispose()
    with closing(Store.open(place, clock=Hand())) as store:
        assert store.load(3) == Checkpoint(8, {"k": b"v"}, "r")
        assert store.positions() == {3: Position(8, 0, 5, "r")}
        (mission,) = store.missions()
        assert (mission.id, mission.state, mission.crashes, mission.epoch) == (
            "m-1",
            MissionState.RUNNING,
            1,
            0,
        )
        (bad,) = store.quarantined()
        assert (bad.raw, bad.headers, bad.offset) == (b"{", {}, 4)
        assert store.recover().queued == ("m-1",)
        epoch = store.claim(3)
        assert epoch == 6
        store.commit(3, epoch, a_commit(9))
        again = store.claim_mission("local/worker-0", NOON)
        assert again is not None
        store.finish("m-1", a_report(), [], NOON, epoch=again.epoch)


def test_a_store_of_part_3_is_brought_up_and_its_missions_only_report(bare_place: str) -> None:
    old = raw_engine(bare_place)
    with old.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        if "://" not in bare_place:
            connection.exec_driver_sql(f"PRAGMA application_id = {MARK}")
        row = {**OLD_ROWS["missions"], "depth": 2, "epoch": 3}
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO missions ({names}) VALUES ({values})"), row)
    old.dispose()
    with closing(Store.open(bare_place, clock=Hand())) as store:
        (mission,) = store.missions()
        assert (mission.epoch, mission.phase, mission.total_phases) == (3, 1, 1)
        assert (mission.mode, mission.approval, mission.targets) == ("report", "person", {})
        assert (mission.requester, mission.advise, mission.wake_at) == ("", "off", None)
        assert (store.changes(), store.verify_audit().count) == ([], 0)
        assert store.recover().queued == ("m-1",)
        again = store.claim_mission("local/worker-0", NOON)
        assert again is not None
        until = NOON + HOUR
        store.wait("m-1", a_report(), [a_row()], [], NOON, until, epoch=again.epoch)
        assert store.wake_due(until) == ["m-1"]


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_migration_that_is_cut_off_leaves_nothing_and_runs_again(
    bare_place: str, side: str
) -> None:
    with (
        pytest.raises(StoreError, match="connection was lost"),
        an_answer_lost(Point.MIGRATION_STEP, side),
    ):
        Store.open(bare_place, clock=Hand())
    raw = raw_engine(bare_place)
    with raw.connect() as connection:
        assert inspect(connection).get_table_names() == []
    raw.dispose()
    with closing(Store.open(bare_place, clock=Hand())) as store:
        assert store.claim(0) == 1


OLD_ROWS: dict[str, dict[str, Any]] = {
    "partitions": {
        "partition": 3,
        "epoch": 5,
        "next_offset": 8,
        "rules": "r",
        "checksum": checksum(5, 8, "r"),
    },
    "evaluator_state": {
        "partition": 3,
        "key": "k",
        "value": b"v",
        "checksum": checksum("k", b"v"),
    },
    "missions": {
        **dict.fromkeys(("rule", "firing", "outcome", "reason"), ""),
        "id": "m-1",
        "kind": "incident-response",
        "params": "{}",
        "key": "{}",
        "clusters": "[]",
        "state": "running",
        "crashes": 1,
        "owner": "worker-0",
        "created_at": 1,
    },
    "quarantine": {
        "id": "q",
        "partition": 0,
        "offset": 4,
        "reason": "bad-json",
        "detail": "no",
        "raw": b"{",
        "at": 1,
    },
}


def raw_engine(place: str) -> Engine:
    """Return an engine of our own for a place of the tests."""
    if "://" not in place:
        return create_engine(f"sqlite:///{place}")
    return create_engine(place.replace("postgresql://", "postgresql+psycopg://"))
