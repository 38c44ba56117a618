"""Missions: queued once, run by one, resumed after a crash, finished whole."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from engine.model.errors import IllegalMove, StoreError
from engine.model.mission import MAX_CRASHES, MissionState
from engine.model.report import Outcome
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.store.rows import NOON, SECOND, a_commit, a_delivery, a_launch, a_report, a_run


def test_a_launch_is_queued_with_all_it_needs(store: Store) -> None:
    store.commit(0, store.claim(0), Commit(1, launches=[a_launch()]))
    row = store.mission("m-1")
    assert row is not None
    assert (row.kind, row.params, row.rule) == (
        "incident-response",
        {"namespace": "shop"},
        "crash-loop",
    )
    assert (row.firing, row.key, row.clusters) == ("f-1", {"workload": "web"}, ("east",))
    assert (row.depth, row.requester, row.mode) == (1, "rule:crash-loop", "report")
    assert (row.state, row.created, row.started) == (MissionState.QUEUED, NOON, None)


def test_missions_are_claimed_in_order_and_once(store: Store) -> None:
    for number in (3, 1, 2):
        assert store.add_mission(a_run(f"m-{number}"))
    assert not store.add_mission(a_run("m-1", reason="again"))
    claimed = [store.claim_mission(f"w-{n}", NOON) for n in range(4)]
    assert [row and row.id for row in claimed] == ["m-3", "m-1", "m-2", None]
    assert claimed[0] is not None
    assert (claimed[0].state, claimed[0].owner, claimed[0].started) == (
        MissionState.RUNNING,
        "w-0",
        NOON,
    )


def test_one_named_mission_can_be_claimed(store: Store) -> None:
    store.add_mission(a_run("m-1"))
    store.add_mission(a_run("m-2"))
    row = store.claim_mission("w", NOON, "m-2")
    assert row is not None
    assert row.id == "m-2"
    assert store.claim_mission("v", NOON, "m-2") is None


def test_many_workers_never_share_a_mission(store: Store) -> None:
    for number in range(40):
        store.add_mission(a_run(f"m-{number}"))
    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(lambda n: store.claim_mission(f"w-{n}", NOON), range(60)))
    claimed = [row.id for row in rows if row is not None]
    assert len(claimed) == len(set(claimed)) == 40


def test_steps_are_journaled_and_a_repeated_one_replaces_its_result(store: Store) -> None:
    store.add_mission(a_run())
    store.record("m-1", "collect", {"now": "2026-01-31T12:00:00Z"}, epoch=0)
    store.record("m-1", "advise", None, epoch=0)
    store.record("m-1", "collect", {"now": "later"}, epoch=0)
    assert store.journal("m-1") == {"collect": {"now": "later"}, "advise": None}
    assert store.journal("m-2") == {}


def test_finishing_writes_report_and_deliveries_together(store: Store) -> None:
    store.add_mission(a_run())
    store.claim_mission("w", NOON)
    store.finish("m-1", a_report(), [a_delivery(mission="m-1")], NOON + SECOND, epoch=1)
    assert store.due("web", NOON) == []
    row = store.mission("m-1")
    assert row is not None
    assert (row.state, row.outcome, row.finished) == (MissionState.DONE, "ok", NOON + SECOND)
    assert row.report == a_report()
    assert [told.key for told in store.due("web", NOON + SECOND)] == ["d-1"]


def test_a_failed_report_fails_the_mission_with_its_reason(store: Store) -> None:
    store.add_mission(a_run())
    store.claim_mission("w", NOON)
    store.finish("m-1", a_report(outcome=Outcome.FAILED), [], NOON, epoch=1)
    row = store.mission("m-1")
    assert row is not None
    assert (row.state, row.outcome, row.reason) == (
        MissionState.FAILED,
        "failed",
        "One pod crashes.",
    )


def test_finishing_twice_changes_nothing_but_another_report_is_refused(store: Store) -> None:
    store.add_mission(a_run())
    store.claim_mission("w", NOON)
    for _ in range(2):
        store.finish("m-1", a_report(), [a_delivery()], NOON, epoch=1)
    with pytest.raises(IllegalMove, match="mission is done"):
        store.finish("m-1", a_report(outcome=Outcome.FINDINGS), [a_delivery("d-2")], NOON, epoch=1)
    assert store.pending("web").waiting == 1


def test_a_mission_that_does_not_run_can_not_finish(store: Store) -> None:
    store.add_mission(a_run())
    with pytest.raises(IllegalMove, match="mission is queued"):
        store.finish("m-1", a_report(), [], NOON, epoch=0)
    with pytest.raises(StoreError, match="no mission 'm-2'"):
        store.finish("m-2", a_report(), [], NOON, epoch=0)


def test_what_a_dead_process_left_running_is_queued_again(store: Store) -> None:
    store.add_mission(a_run("m-1"))
    store.add_mission(a_run("m-2"))
    store.claim_mission("w", NOON)
    store.record("m-1", "collect", 1, epoch=1)
    recovered = store.recover()
    assert (recovered.queued, recovered.spent) == (("m-1",), ())
    assert not store.recover()
    row = store.claim_mission("w", NOON)
    assert row is not None
    assert (row.id, row.crashes, store.journal("m-1")) == ("m-1", 1, {"collect": 1})


def test_a_mission_that_kills_its_worker_five_times_is_not_queued_again(store: Store) -> None:
    store.add_mission(a_run("m-1"))
    store.add_mission(a_run("m-2"))
    for crash in range(1, MAX_CRASHES + 1):
        assert store.claim_mission("w", NOON, "m-1") is not None
        recovered = store.recover()
        assert bool(recovered.spent) is (crash == MAX_CRASHES)
    assert [(row.id, row.crashes) for row in store.recover().spent] == [("m-1", MAX_CRASHES + 1)]
    assert [r.id for r in store.missions(states=[MissionState.QUEUED])] == ["m-2"]


def test_a_mission_that_is_let_go_counts_no_crash(store: Store) -> None:
    store.add_mission(a_run("m-1"))
    assert store.claim_mission("w", NOON) is not None
    store.release("m-1", epoch=1)
    store.release("m-1", epoch=1)
    row = store.mission("m-1")
    assert row is not None
    assert (row.state, row.crashes, row.owner) == (MissionState.QUEUED, 0, "")


def test_missions_are_listed_newest_first(store: Store) -> None:
    store.add_mission(a_run("m-1"))
    store.add_mission(replace(a_run("m-2"), kind="capacity-plan"))
    store.add_mission(a_run("m-3"))
    assert [row.id for row in store.missions()] == ["m-3", "m-2", "m-1"]
    assert [row.id for row in store.missions(kind="capacity-plan")] == ["m-2"]
    assert [row.id for row in store.missions(limit=1)] == ["m-3"]


def test_a_replayed_launch_leaves_the_mission_as_it_became(store: Store) -> None:
    epoch = store.claim(0)
    store.commit(0, epoch, a_commit(1))
    store.claim_mission("w", NOON)
    store.finish("m-1", a_report(), [], NOON, epoch=1)
    store.commit(0, epoch, a_commit(1))
    row = store.mission("m-1")
    assert row is not None
    assert row.state is MissionState.DONE
