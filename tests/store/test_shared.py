"""Several processes over one store: nothing is taken twice, and the late one is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from engine.failpoint import Point
from engine.model.errors import Fenced, StoreError
from engine.model.mission import MAX_CRASHES, MissionState
from engine.model.report import Outcome
from engine.store.checkpoint import Checkpoint, Commit, Committed, Position
from engine.store.quarantine import Quarantined
from tests.store.answers import an_answer_lost
from tests.store.rows import NOON, SECOND, a_commit, a_delivery, a_launch, a_report, a_run
from tests.store.test_leases import run_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.store.store import Store


def test_a_cluster_stays_where_it_was_placed_first(store: Store, other: Store) -> None:
    assert store.place("east", 3) == 3
    assert other.place("east", 7) == 3
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda n: (store, other)[n % 2].place("west", n), range(16)))
    assert len(found) == 1
    assert store.placements() == {"east": 3, "west": found.pop()}


def test_every_ask_for_a_relist_is_counted(store: Store, other: Store) -> None:
    assert store.relists() == {}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: (store, other)[n % 2].ask_relist(n % 3), range(30)))
    assert store.relists() == {0: 10, 1: 10, 2: 10}
    store.keep_rules("digest", {"a.yaml": b"x"})
    assert set(other.relists()) == {0, 1, 2}


def test_conditions_wait_in_their_order_until_they_are_published(store: Store) -> None:
    epoch = store.claim(4)
    found = {f"c-{number}": str(number).encode() for number in (3, 1, 2)}
    store.commit(4, epoch, Commit(1, conditions=found))
    store.commit(4, epoch, Commit(2, conditions={"c-1": b"again", "c-0": b"0"}))
    waiting = store.unpublished(4, 10)
    assert [(name, record) for _, name, record in waiting] == [
        ("c-3", b"3"),
        ("c-1", b"1"),
        ("c-2", b"2"),
        ("c-0", b"0"),
    ]
    assert store.unpublished(4, 2) == waiting[:2]
    assert store.unpublished(5, 10) == []
    store.published(4, epoch, waiting[1][0])
    assert store.unpublished(4, 10) == waiting[2:]
    store.published(4, epoch, waiting[1][0])
    assert store.unpublished(4, 10) == waiting[2:]


def test_who_lost_the_partition_publishes_nothing_away(store: Store, other: Store) -> None:
    old = store.claim(4)
    store.commit(4, old, Commit(1, conditions={"c-1": b"1"}))
    other.claim(4)
    with pytest.raises(Fenced):
        store.published(4, old, 10)
    assert len(other.unpublished(4, 10)) == 1


def test_positions_tell_how_far_each_partition_is(store: Store) -> None:
    assert store.positions() == {}
    first, second = store.claim(0), store.claim(-2)
    store.commit(0, first, Commit(7, rules="r", appended_us=123))
    store.commit(0, first, Commit(7, rules="s"))  # other rules, at the same place
    assert store.positions()[0] == Position(7, 123, first, "s")
    store.commit(0, first, Commit(8, rules="r"))
    assert store.positions() == {
        0: Position(8, 0, first, "r"),
        -2: Position(0, 0, second, ""),
    }


def test_of_two_writers_of_a_partition_only_the_last_claim_writes(
    store: Store, other: Store
) -> None:
    """Each takes the partition again and again; what is kept is whole and of one of them."""

    def write(mine: Store, name: str) -> list[int]:
        kept = []
        for _ in range(30):
            epoch = mine.claim(0)
            try:
                both = {"writer": name.encode(), "epoch": str(epoch).encode()}
                mine.commit(0, epoch, a_commit(epoch, next_offset=epoch, state=both))
            except Fenced:
                continue
            kept.append(epoch)
        return kept

    with ThreadPoolExecutor(2) as threads:
        kept = [*threads.map(write, (store, other), ("a", "b"))]
    last = max(max(one) for one in kept)
    writer = b"a" if last in kept[0] else b"b"
    found = store.load(0)
    assert found == Checkpoint(last, {"writer": writer, "epoch": str(last).encode()}, "digest")
    assert {row.id for row in store.missions(limit=100)} == {f"m-{n}" for n in kept[0] + kept[1]}


def test_workers_of_several_processes_never_share_a_mission(store: Store, other: Store) -> None:
    launches = [a_launch(f"m-{number}") for number in range(60)]
    store.commit(0, store.claim(0), Commit(1, launches=launches))

    def work(number: int) -> list[str]:
        mine, found = (store, other)[number % 2], []
        while row := mine.claim_mission(f"p-{number % 2}/worker-{number}", NOON):
            told = [a_delivery(f"d-{row.id}", incident=row.id)]
            mine.finish(row.id, a_report(row.id), told, NOON, epoch=row.epoch)
            found.append(row.id)
        return found

    with ThreadPoolExecutor(8) as threads:
        claimed = [name for names in threads.map(work, range(8)) for name in names]
    assert len(claimed) == len(set(claimed)) == 60
    assert store.pending("web").waiting == 60


def test_a_runner_that_was_taken_for_dead_writes_nothing_more(store: Store, other: Store) -> None:
    store.add_mission(a_run())
    store.acquire("process/p-1", "p-1", 60)
    late = store.claim_mission("p-1/worker-0", NOON)
    assert late is not None
    assert not other.recover(shared=True)
    run_out(store, "process/p-1")
    assert other.recover(shared=True).queued == ("m-1",)
    with pytest.raises(Fenced, match="mission m-1 has epoch 2, this worker 1"):
        store.record("m-1", "collect", 1, epoch=late.epoch)
    new = other.claim_mission("p-2/worker-0", NOON)
    assert new is not None
    assert (new.epoch, new.crashes) == (3, 1)
    other.record("m-1", "collect", 2, epoch=new.epoch)
    late_writes: list[Callable[[], None]] = [
        lambda: store.record("m-1", "collect", 1, epoch=late.epoch),
        lambda: store.release("m-1", epoch=late.epoch),
        lambda: store.finish("m-1", a_report(), [a_delivery()], NOON, epoch=late.epoch),
    ]
    for write in late_writes:
        with pytest.raises(Fenced):
            write()
    assert store.journal("m-1") == {"collect": 2}
    other.finish("m-1", a_report(), [], NOON, epoch=new.epoch)
    found = store.mission("m-1")
    assert found is not None
    assert found.state is MissionState.DONE
    assert store.pending("web").waiting == 0


def test_many_runners_count_one_death_once(store: Store, other: Store) -> None:
    for number in range(20):
        store.add_mission(a_run(f"m-{number}"))
        store.claim_mission(f"dead/worker-{number}", NOON)
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda n: (store, other)[n % 2].recover(shared=True), range(8))
        queued = [name for one in found for name in one.queued]
    assert sorted(queued) == sorted(f"m-{number}" for number in range(20))
    assert {row.crashes for row in store.missions()} == {1}


def test_a_mission_that_crashed_too_often_is_ended_once_by_whoever_comes(
    store: Store, other: Store
) -> None:
    store.add_mission(a_run())
    for _ in range(MAX_CRASHES - 1):
        assert store.claim_mission("dead/worker-0", NOON) is not None
        assert store.recover(shared=True).queued == ("m-1",)
    store.claim_mission("dead/worker-0", NOON)
    (first,), (second,) = store.recover(shared=True).spent, other.recover(shared=True).spent
    report = a_report(outcome=Outcome.FAILED)
    with pytest.raises(Fenced):
        store.finish("m-1", report, [a_delivery()], NOON, epoch=first.epoch)
    other.finish("m-1", report, [a_delivery()], NOON, epoch=second.epoch)
    assert store.pending("web").waiting == 1
    assert not store.recover(shared=True)


def test_couriers_of_two_processes_make_one_message_of_a_batch(store: Store, other: Store) -> None:
    """As when one was stopped for long, and the other took its lease."""
    for batch in range(20):
        group = {"shared": {"batch": str(batch)}, "since": NOON}
        store.enqueue(
            [a_delivery(f"{batch}-{n}", incident=f"f-{batch}-{n}", **group) for n in range(3)]
        )
    later = NOON + 31 * SECOND
    with ThreadPoolExecutor(4) as threads:
        due = list(threads.map(lambda n: (store, other)[n % 2].due("web", later, 100), range(4)))
    assert all(one == due[0] for one in due)
    assert [len(message.episodes) for message in due[0]] == [3] * 20


def test_what_several_processes_quarantine_is_counted_whole(store: Store, other: Store) -> None:
    def quarantine(number: int) -> None:
        bad = [Quarantined(-1, word, "no", str(number).encode()) for word in ("a", "b", "c")]
        (store, other)[number % 2].quarantine(bad[:: 1 if number % 3 else -1], NOON)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(quarantine, range(40)))
    assert store.quarantine_counts() == {"a": 40, "b": 40, "c": 40}


def test_a_claim_whose_answer_was_lost_is_queued_again_by_its_worker(store: Store) -> None:
    for number in (1, 2):
        store.add_mission(a_run(f"m-{number}"))
    with pytest.raises(StoreError, match="connection was lost"), an_answer_lost():
        store.claim_mission("p/worker-0", NOON)
    assert [row.owner for row in store.missions(states=[MissionState.RUNNING])] == ["p/worker-0"]
    row = store.claim_mission("p/worker-0", NOON)
    assert row is not None
    assert (row.id, row.crashes) == ("m-1", 0)
    assert [row.id for row in store.missions(states=[MissionState.RUNNING])] == ["m-1"]


def test_a_mission_that_could_not_be_released_is_queued_again_by_its_worker(
    store: Store, other: Store
) -> None:
    """Its process lives on: nobody else would take it for dead."""
    store.acquire("process/p", "p", 60)
    store.add_mission(a_run())
    row = store.claim_mission("p/worker-0", NOON)
    assert row is not None
    with (
        pytest.raises(StoreError, match="connection was lost"),
        an_answer_lost(Point.COMMIT, "before"),
    ):
        store.release("m-1", epoch=row.epoch)
    assert other.claim_mission("q/worker-0", NOON) is None
    again = store.claim_mission("p/worker-0", NOON)
    assert again is not None
    assert (again.id, again.crashes, again.epoch > row.epoch) == ("m-1", 0, True)
    with pytest.raises(Fenced):
        store.record("m-1", "collect", 1, epoch=row.epoch)


def test_a_commit_whose_answer_was_lost_is_safe_to_repeat(store: Store) -> None:
    epoch = store.claim(0)
    commit = a_commit(1, conditions={"c-1": b"1"})
    with pytest.raises(StoreError, match="connection was lost"), an_answer_lost():
        store.commit(0, epoch, commit)
    once = store.load(0), store.unpublished(0, 9), store.firings(), store.missions()
    assert store.commit(0, epoch, commit) == Committed()
    assert (store.load(0), store.unpublished(0, 9), store.firings(), store.missions()) == once
    assert once[0].next_offset == 2
    assert store.pending("web").waiting == 1


def test_the_repeated_commit_of_one_who_lost_the_partition_meanwhile_is_refused(
    store: Store, other: Store
) -> None:
    epoch = store.claim(0)
    with pytest.raises(StoreError, match="connection was lost"), an_answer_lost():
        store.commit(0, epoch, a_commit(1))
    new = other.claim(0)
    other.commit(0, new, a_commit(5))
    with pytest.raises(Fenced):
        store.commit(0, epoch, a_commit(1))
    assert other.load(0).next_offset == 6


def test_a_report_whose_answer_was_lost_is_told_once(store: Store) -> None:
    store.add_mission(a_run())
    row = store.claim_mission("p/worker-0", NOON)
    assert row is not None
    with pytest.raises(StoreError, match="connection was lost"), an_answer_lost():
        store.finish("m-1", a_report(), [a_delivery()], NOON, epoch=row.epoch)
    store.finish("m-1", a_report(), [a_delivery()], NOON, epoch=row.epoch)
    assert store.pending("web").waiting == 1
