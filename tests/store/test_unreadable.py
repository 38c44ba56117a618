"""One row that can not be read is shown as such, told of once, and stops no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from engine.model.change_state import ChangeEvent as E
from engine.model.change_state import ChangeState as S
from engine.model.errors import StoreError
from engine.store.change_tables import changes, decisions, writes
from engine.store.schema import missions
from engine.store.unreadable import tell
from tests.store.changes_of import (
    HOUR,
    Scene,
    a_decision,
    a_draft,
    a_row,
    a_target,
    a_write,
    one_is_enough,
)
from tests.store.rows import NOON, a_report, a_run

if TYPE_CHECKING:
    from engine.store.store import Store


@pytest.fixture
def scene(store: Store) -> Scene:
    """Two changes; what is kept of the first one is damaged by each test."""
    tell.cache_clear()
    scene = Scene(store)
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in ("c-1", "c-2")))
    scene.applying("c-1")
    store.begin_write("c-1", a_write(), epoch=scene.epoch)
    return scene


def damage(store: Store, table: Any, **values: Any) -> None:
    key = table.c.id if table in {changes, missions} else table.c.change
    with store.write() as connection:
        connection.execute(update(table).where(key.in_(["c-1", "m-1"])).values(values))


DAMAGE: list[tuple[Any, dict[str, Any]]] = [
    (changes, {"draft": '{"id": "c-1"}'}),
    (changes, {"draft": '{"id'}),
    (changes, {"body": '{"later": "version"}'}),
    (changes, {"results": "x"}),
    (changes, {"verify_from": 2**62}),
    (writes, {"before": "{"}),
    (writes, {"step": "redo"}),
    (decisions, {"verdict": "perhaps"}),
]


@pytest.mark.parametrize("number", range(len(DAMAGE)))
def test_a_change_that_can_not_be_read_stops_no_other_one(
    store: Store, scene: Scene, number: int
) -> None:
    table, values = DAMAGE[number]
    damage(store, table, **values)
    with capture_logs() as logs:
        for _ in range(3):
            assert [row.id for row in store.due_changes(NOON)] == ["c-2"]
        other, bad = store.changes(mission="m-1")
    assert [(one["of"], one["id"]) for one in logs] == [("change", "c-1")]
    assert (other.id, other.state) == ("c-2", S.DRAFT)
    assert (bad.id, bad.state, bad.settled) == ("c-1", S.APPLYING, False)
    assert bad.reason.startswith("what is stored of it can not be read: ")
    assert bad.draft.target.model_dump(exclude={"api_version", "uid"}) == {
        "cluster": "east",
        "kind": "Deployment",
        "namespace": "shop",
        "name": "c-1",
    }
    assert (store.change("c-1"), bad.change, bad.written) == (bad, None, ())


def test_a_state_that_is_none_needs_a_person(store: Store, scene: Scene) -> None:
    damage(store, changes, state="melting")
    row = scene.at("c-1")
    assert (row.state, row.reason) == (
        S.NEEDS_HUMAN,
        "what is stored of it can not be read: 'melting' is not a valid ChangeState",
    )


def test_nobody_decides_on_what_can_not_be_read_but_it_can_be_taken_back(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    row = scene.awaiting()
    damage(store, changes, draft="{")
    with pytest.raises(StoreError, match="change c-1: what is stored of it can not be read"):
        store.decide(a_decision(row), one_is_enough, NOON)
    assert store.change("c-1").decisions == ()  # type: ignore[union-attr]
    store.cancel_mission("m-1", "ann", NOON)
    assert scene.at("c-1").state is S.REJECTED
    assert store.verify_audit().fault == ""


def test_the_path_of_a_mission_shows_what_of_it_can_be_read(store: Store, scene: Scene) -> None:
    damage(store, changes, draft="{")
    what = {(one.noun, one.id): one.what for one in store.trace("m-1")}
    assert what["change", "c-1"]["title"].startswith("what is stored of it can not be read")
    assert what["change", "c-2"]["title"] == "scale web to 3"


def test_a_mission_whose_report_can_not_be_read_is_there_without_it(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    store.add_mission(a_run("m-2"))
    scene.move("c-1", E.REFUSE)
    damage(store, missions, report='{"kind": 1}')
    for row in store.missions():
        assert (row.report, bool(row.reason)) == (None, row.id == "m-1")
    first = store.claim_mission("v", NOON)
    assert first is not None
    assert (first.id, first.phase, first.report) == ("m-1", 2, None)
    store.finish("m-1", a_report(), [], NOON + HOUR, epoch=first.epoch)
    after = store.mission("m-1")
    assert after is not None
    assert (after.report, after.reason) == (a_report(), "")


def test_a_mission_whose_state_is_none_is_left_out(store: Store) -> None:
    tell.cache_clear()
    for name in ("m-1", "m-2"):
        store.add_mission(a_run(name))
    damage(store, missions, state="melting")
    with capture_logs() as logs:
        for _ in range(3):
            assert [row.id for row in store.missions()] == ["m-2"]
    assert [one["id"] for one in logs] == ["m-1"]
    claimed = store.claim_mission("v", NOON)
    assert claimed is not None
    assert claimed.id == "m-2"
