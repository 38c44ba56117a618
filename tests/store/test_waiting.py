"""What waits is counted, and what was begun is not."""

from engine.store.store import Store
from tests.store.changes_of import Scene, a_decision, a_draft, a_row, a_target, one_is_enough
from tests.store.rows import NOON, a_run


def test_only_missions_that_nobody_has_begun_are_queued(store: Store) -> None:
    assert store.queued() == 0
    for number in range(3):
        store.add_mission(a_run(f"m-{number}"))
    store.claim_mission("w", NOON)
    assert store.queued() == 2


def test_only_changes_that_wait_for_a_decision_are_counted(store: Store) -> None:
    assert store.awaiting() == 0
    scene = Scene(store)
    names = ["c-1", "c-2", "c-3"]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    scene.proposed("c-1")
    scene.awaiting("c-2")
    row = scene.awaiting("c-3")
    assert store.awaiting() == 2
    store.decide(a_decision(row), one_is_enough, NOON)
    assert store.awaiting() == 1
