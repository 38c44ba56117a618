"""Quarantine: what is kept of unreadable bytes, for how long, and how it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.store import quarantine
from engine.store.checkpoint import Commit
from engine.store.quarantine import RAW, Quarantined
from engine.store.store import Store
from tests.store.rows import Hand

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = bytes(range(256)) * 3


def a_bad(number: int, reason: str = "bad-json", raw: bytes = b"{") -> Quarantined:
    return Quarantined(number, reason, "no", raw)


def keep(store: Store, *bad: Quarantined, partition: int = 0) -> list[Quarantined]:
    """Commit elements as a fold does; return the store's rows, the oldest first."""
    store.commit(partition, store.claim(partition), Commit(9, quarantined=bad))
    return store.quarantined(1000)[::-1]


def test_an_element_is_kept_byte_for_byte_with_its_place_headers_and_time(
    store: Store, clock: Hand
) -> None:
    headers = {"traceparent": "00-1", "naïve": "\x00\x1b[2J"}
    (row,) = keep(store, Quarantined(4, "bad-utf8", "no", HOSTILE, headers=headers), partition=7)
    assert (row.partition, row.offset, row.raw, row.headers) == (7, 4, HOSTILE, headers)
    assert (row.size, row.is_cut, row.at) == (len(HOSTILE), False, clock.now())
    assert row.id.startswith("q-")
    assert store.quarantined_one(row.id) == row
    assert store.quarantined_one("q-0") is None


def test_bytes_beyond_the_limit_are_cut_and_that_is_known(store: Store) -> None:
    (row,) = keep(store, a_bad(1, raw=b"x" * (RAW + 1)))
    assert (len(row.raw), row.size, row.is_cut) == (RAW, RAW + 1, True)


def test_elements_are_found_by_reason_the_newest_first(store: Store) -> None:
    keep(store, a_bad(1), a_bad(2, "bad-time"), a_bad(3))
    assert [one.offset for one in store.quarantined(10, "bad-json")] == [3, 1]
    assert [one.offset for one in store.quarantined(1)] == [3]
    assert len(store.quarantined_ids()) == 3
    assert len(store.quarantined_ids("bad-time")) == 1
    assert store.quarantined_ids("never") == []
    assert store.quarantine_kept() == {"bad-json": 2, "bad-time": 1}


@pytest.mark.parametrize(("limit", "value"), [("KEEP", 2), ("KEEP_BYTES", 2000)])
def test_the_oldest_go_when_there_are_too_many_or_too_much(
    store: Store, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, limit, value)
    for number in range(5):
        keep(store, a_bad(number, raw=b"%d" % number * 1000))
    assert [one.offset for one in keep(store)] == [2, 3, 4], "one commit more than the limit"
    assert store.quarantine_counts() == {"bad-json": 5}


def test_what_is_dropped_is_gone_and_stays_counted(store: Store) -> None:
    first, second = keep(store, a_bad(1), a_bad(2))
    assert store.drop_quarantined([first.id, "q-0", first.id]) == 1
    assert [one.id for one in store.quarantined()] == [second.id]
    assert store.quarantine_counts() == {"bad-json": 2}


def test_as_many_as_there_are_can_be_dropped_at_once(store: Store) -> None:
    keep(store, *map(a_bad, range(1201)))
    assert store.drop_quarantined(store.quarantined_ids()) == 1201


def test_an_element_that_is_still_bad_keeps_its_id_and_gets_the_new_reason(store: Store) -> None:
    (row,) = keep(store, a_bad(1, "specversion"))
    store.judge_quarantined([(row, [a_bad(1, "bad-time")])])
    (after,) = store.quarantined()
    assert (after.id, after.reason, after.at) == (row.id, "bad-time", row.at)
    assert store.quarantine_counts() == {"bad-time": 1, "specversion": 1}
    store.judge_quarantined([(after, [a_bad(1, "bad-time")])])
    assert store.quarantine_counts() == {"bad-time": 1, "specversion": 1}


def test_of_an_element_that_is_good_in_part_the_bad_parts_stay(store: Store) -> None:
    (row,) = keep(store, a_bad(1, raw=b"[{},1,2]"), partition=3)
    parts = [a_bad(1, "not-an-event", b"1"), a_bad(1, "not-an-event", b"2")]
    store.judge_quarantined([(row, parts)])
    rows = store.quarantined()
    assert {(one.partition, one.raw, one.at) for one in rows} == {
        (3, b"1", row.at),
        (3, b"2", row.at),
    }


def test_an_element_that_another_process_took_does_not_come_back(store: Store) -> None:
    (row,) = keep(store, a_bad(1))
    store.drop_quarantined([row.id])
    store.judge_quarantined([(row, [a_bad(1, "bad-time")])])
    store.judge_quarantined([(row, [a_bad(1, raw=b"1"), a_bad(1, raw=b"2")])])
    assert store.quarantined() == []
    assert store.quarantine_counts() == {"bad-json": 1}


def test_the_same_commit_again_adds_nothing(new_place: Callable[[], str]) -> None:
    store = Store.open(new_place(), clock=Hand())
    keep(store, a_bad(1))
    assert len(keep(store, a_bad(1))) == 1
    assert store.quarantine_counts() == {"bad-json": 1}
    store.close()
