"""Instants of a schedule: local time, daylight saving, jitter."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.instant import MICROS, from_us, to_us
from engine.rules.rule import Schedule
from engine.stream.cron import Instants

MINUTE = 60 * MICROS


def instants(cron: str, zone: str = "UTC", *, jitter_us: int = 0) -> Instants:
    return Instants("r", Schedule(cron, zone, jitter_us))


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return to_us(local.astimezone(UTC))


def from_to(found: Instants, start: int, end: int) -> list[int]:
    times, one = [], found.after(start - 1)
    while one is not None and one < end:
        times.append(one)
        one = found.after(one)
    return times


def test_an_instant_is_after_the_time_that_is_given() -> None:
    daily = instants("0 6 * * *")
    assert daily.after(at("2026-01-01T05:59:59")) == at("2026-01-01T06:00")
    assert daily.after(at("2026-01-01T06:00")) == at("2026-01-02T06:00")


def test_cron_is_about_the_time_of_its_zone() -> None:
    found = instants("30 8 * * 1", "America/New_York").after(at("2026-01-01T00:00"))
    assert found == at("2026-01-05T13:30")


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["2026-03-29T03:00"]),
        ("*/30 2 * * *", "2026-03-29", ["2026-03-29T03:00"]),
        ("0 3 * * *", "2026-03-29", ["2026-03-29T03:00"]),
        (
            "*/30 1-3 * * *",
            "2026-03-29",
            [f"2026-03-29T0{at}" for at in ("1:00", "1:30", "3:00", "3:30")],
        ),
        ("30 2 * * *", "2026-10-25", ["2026-10-25T02:30"]),
        ("0 1-3 * * *", "2026-10-25", [f"2026-10-25T0{hour}:00" for hour in (1, 2, 3)]),
    ],
)
def test_a_time_that_does_not_exist_runs_at_the_next_one_and_one_that_comes_twice_runs_once(
    cron: str, day: str, expected: list[str]
) -> None:
    found = from_to(instants(cron, BERLIN), at(f"{day}T00:00", BERLIN), at(f"{day}T23:59", BERLIN))
    assert found == [at(one, BERLIN) for one in expected]


def test_between_the_two_runs_of_an_hour_nothing_of_it_comes_again() -> None:
    hourly = instants("*/20 * * * *", BERLIN)
    second = at("2026-10-25T02:10", BERLIN, fold=1)
    assert hourly.after(second) == at("2026-10-25T03:00", BERLIN)


def test_a_day_that_does_not_exist_runs_at_the_next_midnight() -> None:
    # Samoa went from 29 to 31 December 2011.
    noon = instants("0 12 30 12 *", "Pacific/Apia")
    assert noon.after(at("2011-12-01T00:00")) == at("2011-12-31T00:00", "Pacific/Apia")


def test_jitter_puts_each_instant_off_by_less_and_always_by_the_same() -> None:
    plain, moved = instants("0 * * * *"), instants("0 * * * *", jitter_us=10 * MINUTE)
    start, end = at("2026-01-01T00:00"), at("2026-01-03T00:00")
    pairs = list(zip(from_to(plain, start, end), from_to(moved, start, end), strict=True))
    assert all(0 <= late - one < 10 * MINUTE for one, late in pairs)
    assert len({late - one for one, late in pairs}) > 40
    again = instants("0 * * * *", jitter_us=10 * MINUTE)
    assert from_to(again, start, end) == [late for _, late in pairs]
    other = Instants("other", Schedule("0 * * * *", "UTC", 10 * MINUTE))
    assert from_to(other, start, end) != [late for _, late in pairs]


def test_the_last_instant_of_a_span_is_found() -> None:
    weekly = instants("0 6 * * 1")
    start, end = at("2026-01-01T00:00"), at("2027-01-01T00:00")
    assert weekly.last(start, end) == at("2026-12-28T06:00")
    assert weekly.last(at("2026-01-05T06:00"), at("2026-01-05T06:01")) == at("2026-01-05T06:00")
    assert weekly.last(at("2026-01-05T06:01"), at("2026-01-12T06:00")) is None


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "15 2 * * *", "0 0 1 * *", "30 1-3 * * 0"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(at("2026-01-01T00:00") // MICROS, at("2027-01-01T00:00") // MICROS),
    st.lists(st.integers(0, 5_000_000), min_size=1, max_size=6),
)
def test_any_order_of_asking_gives_the_same_instants(
    cron: str, zone: str, start: int, gaps: list[int]
) -> None:
    whole = instants(cron, zone)
    times = from_to(whole, start * MICROS, (start + 5_000_000) * MICROS)
    assert all(one < other for one, other in pairwise(times))
    for gap in gaps:
        moment = (start + gap) * MICROS
        later = [one for one in times if one > moment]
        fresh = instants(cron, zone).after(moment)
        assert whole.after(moment) == fresh
        assert not later or fresh == later[0], from_us(moment)
