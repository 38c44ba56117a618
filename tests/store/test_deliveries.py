"""The outbox: in order, with patience, and never silently given up."""

from datetime import timedelta

import pytest

from engine.model.delivery import Delivery, Occasion, Receipt
from engine.model.errors import IllegalMove, StoreError
from engine.store.store import Store
from tests.store.rows import NOON, SECOND, Hand, a_delivery, a_report

HOUR = timedelta(hours=1)


def keys(found: list[Delivery]) -> list[str]:
    return [delivery.key for delivery in found]


def test_a_delivery_comes_back_as_it_was_given(store: Store) -> None:
    given = a_delivery(report=a_report(), labels={"severity": "high"}, change=Occasion.RESULT)
    assert store.enqueue([given, given]) == ["d-1"]
    assert store.due("web", NOON) == [given]
    assert store.due("mail", NOON) == []


def test_the_order_of_an_incident_holds_while_others_go_on(store: Store) -> None:
    store.enqueue(
        [
            a_delivery("fire", incident="f-1"),
            a_delivery("result", incident="f-1"),
            a_delivery("other", incident="f-2"),
            a_delivery("elsewhere", incident="f-1", sink="mail"),
        ]
    )
    assert keys(store.due("web", NOON)) == ["fire", "other"]
    store.retry("fire", NOON, "503")
    assert keys(store.due("web", NOON)) == ["other"]
    assert keys(store.due("mail", NOON)) == ["elsewhere"]
    store.sent("fire", Receipt(), NOON)
    assert keys(store.due("web", NOON)) == ["result", "other"]


def test_with_a_dead_letter_waits_what_tells_of_it(store: Store) -> None:
    store.enqueue([a_delivery("rejected"), a_delivery("late", incident="f-2")])
    rejected, late = (a_delivery(key, sink="mail", incident=key) for key in ("n-1", "n-2"))
    store.give_up("rejected", "400 bad request", NOON, tell=[rejected])
    store.retry("late", NOON, "503", tell=[late])
    assert keys(store.due("mail", NOON)) == ["n-1"]
    store.retry("late", NOON + timedelta(days=4), "503", tell=[late])
    assert keys(store.due("mail", NOON + timedelta(days=4))) == ["n-1", "n-2"]


def test_a_rejected_delivery_lets_the_next_of_its_incident_pass(store: Store) -> None:
    store.enqueue([a_delivery("fire"), a_delivery("result")])
    store.give_up("fire", "400 bad request", NOON)
    store.give_up("fire", "a second time", NOON)
    assert keys(store.due("web", NOON)) == ["result"]
    assert [(row.delivery.key, row.error) for row in store.dead_letters()] == [
        ("fire", "400 bad request")
    ]


def test_each_failure_waits_longer_and_a_request_to_wait_is_obeyed(store: Store) -> None:
    store.enqueue([a_delivery()])
    for asked, wait_s in ((None, 0.5), (None, 1), (None, 2), (40.0, 40)):
        assert store.retry("d-1", NOON, "503", asked) is False
        due = NOON + wait_s * SECOND
        assert store.due("web", due - timedelta(microseconds=1)) == []
        assert keys(store.due("web", due)) == ["d-1"]
    assert store.due("web", NOON + 39 * SECOND) == []
    assert keys(store.due("web", NOON + 40 * SECOND)) == ["d-1"]


def test_a_retryable_delivery_is_given_up_after_72_hours_and_not_before(store: Store) -> None:
    store.enqueue([a_delivery()])
    assert store.retry("d-1", NOON + 72 * HOUR - SECOND, "no connection") is False
    assert store.retry("d-1", NOON + 72 * HOUR, "no connection") is True
    [letter] = store.dead_letters()
    assert letter.error == "not taken within 72 h; last: no connection"
    assert letter.attempts == 2


def test_a_replayed_dead_letter_has_the_same_key_and_72_new_hours(
    store: Store, clock: Hand
) -> None:
    store.enqueue([a_delivery()])
    store.give_up("d-1", "gone", NOON)
    clock.at = NOON + 100 * HOUR
    store.replay("d-1")
    assert keys(store.due("web", clock.at)) == ["d-1"]
    assert store.dead_letters() == []
    assert store.retry("d-1", clock.at + 71 * HOUR, "503") is False


def test_a_dropped_dead_letter_is_gone_and_its_key_is_not_sent_again(store: Store) -> None:
    store.enqueue([a_delivery()])
    with pytest.raises(StoreError, match="is waiting; only a dead letter"):
        store.drop("d-1")
    store.give_up("d-1", "gone", NOON)
    store.drop("d-1")
    assert store.dead_letters() == []
    assert store.enqueue([a_delivery()]) == []
    assert store.due("web", NOON) == []


def test_what_was_sent_can_not_move(store: Store) -> None:
    store.enqueue([a_delivery()])
    store.sent("d-1", Receipt(), NOON)
    for move in (
        lambda: store.sent("d-1", Receipt(), NOON),
        lambda: store.retry("d-1", NOON, "503"),
        lambda: store.give_up("d-1", "400", NOON),
        lambda: store.replay("d-1"),
    ):
        with pytest.raises(IllegalMove, match="delivery is sent"):
            move()


def test_an_unknown_key_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="no delivery 'd-9'"):
        store.sent("d-9", Receipt(), NOON)


def test_the_thread_is_that_of_the_first_delivery_taken(store: Store) -> None:
    store.enqueue([a_delivery("fire"), a_delivery("result"), a_delivery("x", incident="f-2")])
    assert store.thread("web", "f-1") is None
    store.sent("fire", Receipt(thread={"ts": "1.5", "channel": "C1"}), NOON)
    store.sent("result", Receipt(thread={"ts": "2.5"}), NOON)
    assert store.thread("web", "f-1") == {"ts": "1.5", "channel": "C1"}
    store.enqueue([a_delivery("approval")])
    store.sent("approval", Receipt(thread={"ts": "3.5", "ask c-1 d-1": "3.5"}), NOON)
    assert store.thread("web", "f-1") == {"ts": "1.5", "channel": "C1", "ask c-1 d-1": "3.5"}
    assert store.thread("web", "f-2") is None
    assert store.thread("mail", "f-1") is None


def test_the_backlog_of_a_sink_is_its_number_and_its_oldest(store: Store, clock: Hand) -> None:
    assert store.pending("web") == (0, None)
    store.enqueue([a_delivery("d-1")])
    clock.at += HOUR
    store.enqueue([a_delivery("d-2"), a_delivery("d-3", sink="mail")])
    assert store.pending("web") == (2, NOON)
    store.sent("d-1", Receipt(), NOON)
    assert store.pending("web") == (1, NOON + HOUR)


def test_a_long_outage_keeps_the_order_of_every_incident(store: Store) -> None:
    told = [a_delivery(f"{n}-{i}", incident=f"f-{i}") for n in range(5) for i in range(100)]
    store.enqueue(told)
    for delivery in store.due("web", NOON, limit=1000):
        store.retry(delivery.key, NOON, "503")
    taken: list[str] = []
    now = NOON + HOUR
    while due := store.due("web", now, limit=50):
        for delivery in due:
            store.sent(delivery.key, Receipt(), now)
            taken.append(delivery.key)
    assert sorted(taken) == sorted(keys(told))
    for incident in range(100):
        own = [key for key in taken if key.endswith(f"-{incident}")]
        assert own == sorted(own)
