"""Firings of one group share a message: in time, whole, once, and the same on every attempt."""

from datetime import datetime, timedelta
from typing import Any

from engine.model.delivery import Delivery, Occasion, Receipt
from engine.model.firing import State
from engine.store.store import Store
from tests.store.rows import NOON, SECOND, Hand, a_commit, a_delivery, a_transition

MINUTE = 60 * SECOND
SHARED = {"namespace": "shop"}


def told(name: str, change: Occasion = Occasion.FIRE, **fields: Any) -> Delivery:
    given = {
        "incident": f"f-{name}",
        "change": change,
        "group": {"namespace": "shop", "workload": name},
        "shared": SHARED,
        "since": NOON,
    }
    return a_delivery(f"d-{name}-{change}", **{**given, **fields})


def tell(store: Store, *deliveries: Delivery, resolved: bool = False) -> None:
    """Commit deliveries with the moves of their firings, as the fold does."""
    moves = [
        a_transition(
            one.incident,
            at=2_000 if one.change is Occasion.RESOLVE or resolved else 1_000,
            state=State.RESOLVED if one.change is Occasion.RESOLVE else State.FIRING,
        )
        for one in deliveries
    ]
    epoch = store.claim(0)
    empty: dict[str, Any] = {"state": {}, "launches": [], "signals": {}}
    store.commit(0, epoch, a_commit(transitions=moves, deliveries=list(deliveries), **empty))


def shown(message: Delivery) -> list[tuple[str, str]]:
    words = {(False, True): "new", (False, False): "goes on"}
    return [
        (one.group["workload"], words.get((one.over, one.fresh), "over"))
        for one in message.episodes
    ]


def send(store: Store, now: datetime) -> Delivery:
    (message,) = store.due("web", now)
    store.sent(message.key, Receipt(thread={"ts": "1"}), now)
    return message


def test_firings_that_come_within_the_wait_go_as_one_message(store: Store, clock: Hand) -> None:
    tell(store, told("a"))
    clock.at = NOON + 20 * SECOND
    tell(store, told("b"))
    assert store.due("web", NOON + 29 * SECOND) == []
    (message,) = store.due("web", NOON + 30 * SECOND)
    assert shown(message) == [("a", "new"), ("b", "new")]
    assert (message.change, message.incident, message.group) == (Occasion.FIRE, "f-a", SHARED)


def test_a_single_firing_goes_as_it_is(store: Store) -> None:
    tell(store, told("a"))
    assert store.due("web", NOON + 30 * SECOND) == [told("a")]


def test_other_groups_rules_and_sinks_have_messages_of_their_own(store: Store) -> None:
    tell(
        store,
        told("a"),
        told("b", shared={"namespace": "bank"}),
        told("c", rule="other"),
        told("d", sink="mail"),
    )
    later = NOON + 30 * SECOND
    assert {one.incident for one in store.due("web", later)} == {"f-a", "f-b", "f-c"}
    assert [one.incident for one in store.due("mail", later)] == ["f-d"]


def test_the_next_message_of_a_group_waits_five_minutes_and_names_who_goes_on(
    store: Store, clock: Hand
) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + 30 * SECOND
    send(store, clock.at)
    tell(store, told("c"), told("a", Occasion.RESOLVE))
    assert store.due("web", clock.at + 5 * MINUTE - SECOND) == []
    message = send(store, clock.at + 5 * MINUTE)
    assert shown(message) == [("c", "new"), ("b", "goes on"), ("a", "over")]
    assert (message.change, message.incident) == (Occasion.FIRE, "f-a")


def test_an_end_of_some_is_no_resolve_and_an_end_of_all_is(store: Store, clock: Hand) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + MINUTE
    send(store, clock.at)
    tell(store, told("a", Occasion.RESOLVE))
    clock.at += 10 * MINUTE
    some = send(store, clock.at)
    assert (some.change, shown(some)) == (Occasion.REPEAT, [("b", "goes on"), ("a", "over")])
    tell(store, told("b", Occasion.RESOLVE))
    clock.at += 10 * MINUTE
    last = send(store, clock.at)
    assert (last.change, last.incident) == (Occasion.RESOLVE, "f-a")
    assert shown(last) == [("b", "over"), ("a", "over")]


def test_a_sink_that_hears_no_ends_is_not_told_that_what_is_over_goes_on(
    store: Store, clock: Hand
) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + MINUTE
    send(store, clock.at)
    end = a_transition("f-a", at=2_000, state=State.RESOLVED)
    empty: dict[str, Any] = {"state": {}, "launches": [], "signals": {}, "deliveries": []}
    store.commit(0, store.claim(0), a_commit(transitions=[end], **empty))
    tell(store, told("c"))
    clock.at += 10 * MINUTE
    assert shown(send(store, clock.at)) == [("c", "new"), ("b", "goes on")]


def test_what_came_and_went_within_the_wait_is_told_as_over(store: Store) -> None:
    tell(store, told("a"), told("b"), told("a", Occasion.RESOLVE))
    (message,) = store.due("web", NOON + MINUTE)
    assert shown(message) == [("b", "new"), ("a", "over")]


def test_a_group_that_ended_begins_a_new_thread(store: Store, clock: Hand) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + MINUTE
    send(store, clock.at)
    tell(store, told("a", Occasion.RESOLVE), told("b", Occasion.RESOLVE))
    clock.at += 10 * MINUTE
    assert send(store, clock.at).incident == "f-a"
    clock.at += 10 * MINUTE
    tell(store, told("c"), told("d"))
    clock.at += MINUTE
    assert send(store, clock.at).incident == "f-c"


def test_a_message_stays_what_it_was_however_often_it_is_tried(store: Store, clock: Hand) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + MINUTE
    (first,) = store.due("web", clock.at)
    tell(store, told("c"))
    store.retry(first.key, clock.at, "503")
    clock.at += 10 * MINUTE
    assert store.due("web", clock.at) == [first]
    store.sent(first.key, Receipt(), clock.at)
    clock.at += 5 * MINUTE
    assert shown(send(store, clock.at))[0] == ("c", "new")


def test_a_message_is_the_same_after_a_restart(store: Store, place: str, clock: Hand) -> None:
    tell(store, told("a"), told("b"))
    before = store.due("web", NOON + MINUTE)
    store.close()
    again = Store.open(place, clock=clock)
    assert again.due("web", NOON + MINUTE) == before
    again.close()


def test_deliveries_that_a_replay_tells_again_are_not_told_twice(store: Store, clock: Hand) -> None:
    tell(store, told("a"), told("b"))
    clock.at = NOON + MINUTE
    send(store, clock.at)
    assert store.enqueue([told("a"), told("b")]) == []
    assert store.due("web", clock.at + 10 * MINUTE) == []


def test_a_result_follows_the_message_of_its_firing_in_its_thread(
    store: Store, clock: Hand
) -> None:
    tell(store, told("a"), told("b"))
    store.enqueue([a_delivery("result", incident="f-b", change=Occasion.RESULT)])
    clock.at = NOON + MINUTE
    send(store, clock.at)
    assert [one.key for one in store.due("web", clock.at)] == ["result"]
    assert store.thread("web", "f-b") == {"ts": "1"}


def test_a_result_that_waits_goes_before_the_end_of_its_firing(store: Store, clock: Hand) -> None:
    tell(store, told("a"))
    clock.at = NOON + MINUTE
    send(store, clock.at)
    store.enqueue([a_delivery("result", incident="f-a", change=Occasion.RESULT)])
    tell(store, told("a", Occasion.RESOLVE))
    clock.at += 10 * MINUTE
    assert [one.key for one in store.due("web", clock.at)] == ["result"]
    store.sent("result", Receipt(), clock.at)
    assert send(store, clock.at).change is Occasion.RESOLVE


def test_a_message_that_is_given_up_is_one_dead_letter_for_each_firing(store: Store) -> None:
    tell(store, told("a"), told("b"))
    (message,) = store.due("web", NOON + MINUTE)
    store.give_up(message.key, "400 bad request", NOON, tell=[a_delivery("n-1", sink="mail")])
    assert len(store.dead_letters()) == 2
    assert [one.key for one in store.due("mail", NOON)] == ["n-1"]
    store.replay("d-b-fire")
    assert [one.incident for one in store.due("web", NOON + timedelta(hours=1))] == ["f-b"]


def test_more_firings_than_a_message_holds_go_in_the_next_one(store: Store, clock: Hand) -> None:
    tell(store, *(told(f"w{number:03}") for number in range(250)))
    clock.at = NOON + MINUTE
    assert len(send(store, clock.at).episodes) == 200
    assert len(send(store, clock.at).episodes) == 250


def test_the_path_of_a_message_is_that_of_its_firings(store: Store) -> None:
    tell(store, told("a"), told("b"))
    (message,) = store.due("web", NOON + MINUTE)
    found = store.trace(message.key)
    assert {one.id for one in found if one.noun == "firing"} == {"f-a", "f-b"}
