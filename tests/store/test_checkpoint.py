"""Checkpoints: one commit is whole or absent, and a replay adds nothing."""

from collections.abc import Callable, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model.errors import Fenced, StoreError
from engine.model.firing import State
from engine.store.checkpoint import Checkpoint, Commit, Committed
from engine.store.firings import HISTORY
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from tests.store.rows import Hand, a_commit, a_delivery, a_launch, a_transition


def test_a_partition_without_a_checkpoint_starts_at_zero(store: Store) -> None:
    assert store.load(0) == Checkpoint(0, {}, "")
    store.claim(0)
    assert store.load(0) == Checkpoint(0, {}, "")


def test_a_commit_is_what_the_next_load_gives(store: Store, place: str) -> None:
    epoch = store.claim(3)
    store.commit(3, epoch, Commit(7, {"a": b"1", "b": b"", "c": b"\x00"}, "first"))
    store.commit(3, epoch, Commit(9, {"a": b"2", "c": None, "never": None}, "second"))
    expected = Checkpoint(9, {"a": b"2", "b": b""}, "second")
    assert store.load(3) == expected
    assert store.load(0) == Checkpoint()
    store.close()
    again = Store.open(place, clock=Hand())
    assert again.load(3) == expected
    again.close()


def test_a_commit_says_what_it_wrote_first(store: Store) -> None:
    epoch = store.claim(0)
    first = store.commit(0, epoch, a_commit(1))
    again = store.commit(0, epoch, a_commit(1))
    assert first == Committed(("f-1",), ("m-1",), ("d-1",))
    assert again == Committed()


def test_new_ids_come_in_the_order_given(store: Store) -> None:
    commit = Commit(
        1,
        transitions=[a_transition(name) for name in ("f-9", "f-1", "f-5")],
        launches=[a_launch(name) for name in ("m-9", "m-1")],
        deliveries=[a_delivery(name) for name in ("d-9", "d-1", "d-9")],
    )
    done = store.commit(0, store.claim(0), commit)
    assert done == Committed(("f-9", "f-1", "f-5"), ("m-9", "m-1"), ("d-9", "d-1"))


def test_an_older_epoch_is_fenced_and_writes_nothing(store: Store, other: Store) -> None:
    old = store.claim(0)
    new = other.claim(0)
    with pytest.raises(Fenced, match=f"has epoch {new}, this writer {old}"):
        store.commit(0, old, a_commit(1))
    assert (store.load(0), store.missions(), store.firings()) == (Checkpoint(), [], [])
    assert other.commit(0, new, a_commit(1)).new_firings == ("f-1",)


def test_a_partition_that_was_never_claimed_refuses_writes(store: Store) -> None:
    with pytest.raises(Fenced):
        store.commit(5, 1, a_commit())


def test_a_commit_that_fails_late_leaves_nothing(store: Store) -> None:
    epoch = store.claim(0)
    with pytest.raises(StoreError):
        store.commit(0, epoch, a_commit(1, launches=[a_launch(mission=None)]))  # type: ignore[arg-type]
    assert store.load(0) == Checkpoint()
    assert store.firings() == []
    assert store.trace("s-1") == []
    assert store.commit(0, epoch, a_commit(1)).new_missions == ("m-1",)


def test_a_firing_moves_with_its_transitions_and_keeps_what_was_true(store: Store) -> None:
    epoch = store.claim(0)
    opened = a_transition(value={"n": 6}, members=("web-1",), member_count=1, at=10)
    labels = {"crash-loop": {"severity": "high"}}
    store.commit(0, epoch, Commit(1, transitions=[opened], labels=labels))
    resolved = a_transition(state=State.RESOLVED, reason="cleared", at=20)
    store.commit(0, epoch, Commit(2, transitions=[resolved]))
    firing = store.firing("f-1")
    assert firing is not None
    assert (firing.state, firing.reason, firing.value) == (State.RESOLVED, "cleared", {"n": 6})
    assert (firing.members, firing.labels) == (("web-1",), {"severity": "high"})
    assert firing.resolved is not None
    assert firing.resolved > firing.opened


def test_a_replayed_opening_does_not_reopen_a_resolved_firing(store: Store) -> None:
    epoch = store.claim(0)
    moves = [a_transition(at=10), a_transition(at=20, state=State.RESOLVED)]
    store.commit(0, epoch, Commit(1, transitions=moves))
    assert store.commit(0, epoch, Commit(1, transitions=moves[:1])).new_firings == ()
    assert [firing.state for firing in store.firings()] == [State.RESOLVED]


def test_pending_transitions_without_an_episode_are_no_firings(store: Store) -> None:
    pending = a_transition(firing="", state=State.PENDING)
    assert store.commit(0, store.claim(0), Commit(1, transitions=[pending])) == Committed()
    assert store.firings() == []


def test_the_history_of_a_firing_is_bounded(store: Store) -> None:
    moves = [a_transition(at=at) for at in range(HISTORY + 30)]
    store.commit(0, store.claim(0), Commit(1, transitions=moves))
    history = [record for record in store.trace("f-1") if record.noun == "transition"]
    assert len(history) == HISTORY
    assert history[-1].at.microsecond == HISTORY + 29


def test_firings_are_found_by_state_and_rule(store: Store) -> None:
    moves = [a_transition("f-1"), a_transition("f-2", rule="other"), a_transition("f-3")]
    ends = [a_transition("f-3", state=State.RESOLVED, at=5_000)]
    store.commit(0, store.claim(0), Commit(1, transitions=[*moves, *ends]))
    open_ones = store.firings(states=[State.FIRING], rule="crash-loop")
    assert [firing.id for firing in open_ones] == ["f-1"]


def test_quarantined_elements_are_kept_counted_and_met_again(store: Store) -> None:
    epoch = store.claim(0)
    bad = [Quarantined(4, "bad-json", "no", b"{"), Quarantined(4, "bad-utf8", "no", b"\xff")]
    store.commit(0, epoch, Commit(5, quarantined=bad))
    store.commit(0, epoch, Commit(5, quarantined=bad))
    assert store.quarantine_counts() == {"bad-json": 1, "bad-utf8": 1}
    assert [(one.offset, one.raw) for one in store.quarantined()] == [(4, b"\xff"), (4, b"{")]


def test_bad_elements_from_outside_count_at_each_arrival(store: Store, clock: Hand) -> None:
    bad = Quarantined(-1, "bad-json", "no", b"{")
    store.quarantine([bad, bad], clock.now())
    assert store.quarantine_counts() == {"bad-json": 2}


commits = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.binary(max_size=5)), max_size=6
)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commits, st.data())
def test_any_crash_and_replay_of_a_suffix_gives_the_same_store(
    new_place: Callable[[], str],
    states: list[dict[str, bytes | None]],
    data: st.DataObject,
) -> None:
    log = [a_commit(n, state=state) for n, state in enumerate(states)]
    with closing(Store.open(new_place(), clock=Hand())) as store:
        replay(store, log, data)
        expected: dict[str, bytes] = {}
        for state in states:
            expected |= {key: value for key, value in state.items() if value is not None}
            expected = {k: v for k, v in expected.items() if state.get(k, b"") is not None}
        assert store.load(0).state == expected
        held = [row.id for row in store.missions()]
        assert held == [f"m-{n}" for n in reversed(range(len(log)))]
        assert store.pending("web").waiting == len(log)


def replay(store: Store, log: Sequence[Commit], data: st.DataObject) -> None:
    """Commit `log`, each time after a part of what was committed before."""
    for at, commit in enumerate(log):
        epoch = store.claim(0)
        for again in log[data.draw(st.integers(0, at)) : at]:
            store.commit(0, epoch, again)
        store.commit(0, epoch, commit)
