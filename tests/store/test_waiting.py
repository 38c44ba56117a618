"""What waits is counted, and what was begun is not."""

from engine.store.store import Store
from tests.store.rows import NOON, a_run


def test_only_missions_that_nobody_has_begun_are_queued(store: Store) -> None:
    assert store.queued() == 0
    for number in range(3):
        store.add_mission(a_run(f"m-{number}"))
    store.claim_mission("w", NOON)
    assert store.queued() == 2
