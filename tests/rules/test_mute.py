"""Intervals in local time: when they hold, when they end, and what a change of the clock does."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.instant import MICROS, from_us, to_us
from engine.rules.mute import inside, muted_until, next_within
from engine.rules.rule import Interval

BERLIN = "Europe/Berlin"
DAY = 86_400 * MICROS
START = to_us(datetime(2026, 1, 1, tzinfo=UTC))


def at(text: str) -> int:
    """Return the instant of a UTC time."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def until(interval: Interval, text: str) -> str | None:
    found = muted_until([interval], at(text))
    return None if found is None else from_us(found).strftime("%Y-%m-%d %H:%M")


def test_times_hold_from_their_start_to_just_before_their_end() -> None:
    night = Interval("night", times=((60, 120),))
    assert until(night, "2026-01-05 00:59:59.999999") is None
    assert until(night, "2026-01-05 01:00") == "2026-01-05 02:00"
    assert until(night, "2026-01-05 01:59:59.999999") == "2026-01-05 02:00"
    assert until(night, "2026-01-05 02:00") is None


def test_all_that_is_given_must_hold() -> None:
    interval = Interval(
        "x", times=((0, 60),), weekdays=((0, 0),), months=((1, 1),), years=((2026, 2026),)
    )
    assert until(interval, "2026-01-05 00:30") == "2026-01-05 01:00"  # a Monday
    assert until(interval, "2026-01-06 00:30") is None
    assert until(interval, "2026-02-02 00:30") is None
    assert until(interval, "2027-01-04 00:30") is None


def test_days_that_follow_each_other_are_one_stretch() -> None:
    weekend = Interval("weekend", weekdays=((5, 6),))
    assert until(weekend, "2026-01-03 10:00") == "2026-01-05 00:00"


def test_days_of_the_month_count_from_its_end_too() -> None:
    last = Interval("last", days_of_month=((-1, -1),))
    assert until(last, "2026-02-28 12:00") == "2026-03-01 00:00"
    assert until(last, "2026-01-30 12:00") is None
    assert until(Interval("end", days_of_month=((30, -1),)), "2028-02-29 12:00") is None


def test_times_up_to_midnight_and_from_it_are_one_stretch() -> None:
    night = Interval("night", times=((22 * 60, 1440), (0, 360)))
    assert until(night, "2026-01-05 23:00") == "2026-01-06 06:00"


def test_an_interval_without_an_end_in_sight_is_looked_at_again_later() -> None:
    found = muted_until([Interval("always")], START)
    assert found is not None
    assert found - START > 200 * DAY
    assert inside(Interval("always"), found)


def test_local_time_counts_in_winter_and_in_summer() -> None:
    office = Interval("office", BERLIN, times=((540, 1020),))
    assert until(office, "2026-01-05 08:00") == "2026-01-05 16:00"
    assert until(office, "2026-07-06 07:00") == "2026-07-06 15:00"
    assert until(office, "2026-07-06 15:00") is None


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        # 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        ((60, 150), "2026-03-29 00:30", "2026-03-29 01:00"),
        ((60, 240), "2026-03-29 00:30", "2026-03-29 02:00"),
        ((150, 240), "2026-03-29 01:30", "2026-03-29 02:00"),
        # 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC; 02:00 to 03:00 happens twice.
        ((60, 180), "2026-10-24 23:30", "2026-10-25 02:00"),
        ((120, 150), "2026-10-25 00:10", "2026-10-25 00:30"),
        ((120, 150), "2026-10-25 01:10", "2026-10-25 01:30"),
        ((150, 240), "2026-10-25 00:40", "2026-10-25 01:00"),
    ],
)
def test_an_end_is_right_across_a_change_of_the_clock(
    times: tuple[int, int], start: str, end: str
) -> None:
    assert until(Interval("x", BERLIN, times=(times,)), start) == end


def test_of_several_intervals_the_first_end_counts() -> None:
    both = [Interval("a", times=((0, 120),)), Interval("b", times=((30, 60),))]
    assert muted_until(both, at("2026-01-05 00:40")) == at("2026-01-05 01:00")


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    start = draw(st.integers(0, 95)) * 15
    end = start + draw(st.integers(1, 96 - start // 15)) * 15
    first = draw(st.integers(0, 6))
    zone = draw(st.sampled_from(["UTC", BERLIN, "Australia/Lord_Howe", "America/St_Johns"]))
    days = draw(st.sampled_from([(), ((first, min(6, first + 2)),)]))
    return Interval("x", zone, times=draw(st.sampled_from([(), ((start, end),)])), weekdays=days)


@given(intervals(), st.integers(0, 365 * 96))
def test_it_holds_at_every_quarter_of_an_hour_up_to_its_end(
    interval: Interval, quarter: int
) -> None:
    step = 15 * 60 * MICROS
    now = START + quarter * step
    end = muted_until([interval], now)
    assert (end is not None) == inside(interval, now)
    if end is not None:
        last = min(end, now + 10 * DAY)
        assert all(inside(interval, one) for one in range(now, last, step))
        assert not inside(interval, end) or end - now > 200 * DAY


@given(st.integers(0, 365 * 24 * 60))
def test_a_wall_clock_agrees(minute: int) -> None:
    now = START + minute * 60 * MICROS
    local = from_us(now).astimezone(ZoneInfo(BERLIN))
    assert inside(Interval("x", BERLIN, times=((540, 1020),)), now) == (9 <= local.hour < 17)


def begins(interval: Interval, text: str) -> str:
    return from_us(next_within([interval], at(text))).strftime("%Y-%m-%d %H:%M")


def test_the_next_time_at_which_it_holds_is_found() -> None:
    office = Interval("office", BERLIN, times=((540, 1020),), weekdays=((0, 4),))
    assert begins(office, "2026-01-05 08:30") == "2026-01-05 08:30"
    assert begins(office, "2026-01-05 16:00") == "2026-01-06 08:00"
    assert begins(office, "2026-03-27 17:00") == "2026-03-30 07:00"  # over the change of the clock
    assert begins(Interval("x", BERLIN, times=((150, 160),)), "2026-03-28 12:00") == (
        "2026-03-30 00:30"  # 02:30 does not happen on the 29th
    )


@given(intervals(), st.integers(0, 365 * 96))
def test_it_does_not_hold_before_the_next_time_and_holds_then(
    interval: Interval, quarter: int
) -> None:
    step = 15 * 60 * MICROS
    now = START + quarter * step
    found = next_within([interval], now)
    assert inside(interval, found)
    assert found - now < 9 * DAY
    assert not any(inside(interval, one) for one in range(now, found, step))
