"""The short history says what it knows, is bounded, and takes a gap for a gap."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.history import Histories, increase, mean, percentile, rate
from engine.model.series import Point

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
GAP = timedelta(seconds=60)


def points(*values: float, every_s: float = 15) -> list[Point]:
    return [Point(NOON + timedelta(seconds=n * every_s), value) for n, value in enumerate(values)]


def test_nothing_is_said_of_nothing() -> None:
    assert (mean([]), percentile([], 0.5), rate([], GAP), increase([])) == (None, None, None, 0)
    assert rate(points(5), GAP) is None


def test_a_percentile_is_a_value_that_was_seen() -> None:
    seen = points(*range(1, 101))
    assert [percentile(seen, share) for share in (0.5, 0.95, 0.99, 1.0, 0.0)] == [
        50,
        95,
        99,
        100,
        1,
    ]
    assert mean(seen) == 50.5


def test_a_counter_that_begins_anew_grew_by_what_it_is() -> None:
    assert increase(points(10, 15, 3, 4)) == 9


@pytest.mark.parametrize("end", [2**32, 2**64])
def test_a_counter_that_wraps_goes_on(end: int) -> None:
    assert increase(points(float(end - 4096), 4096.0)) == pytest.approx(8192)


def test_a_counter_that_falls_far_from_its_end_did_not_wrap() -> None:
    assert increase(points(float(2**31), 50.0)) == 50


def test_a_rate_leaves_a_gap_out_of_growth_and_of_time() -> None:
    seen = [*points(0, 15), Point(NOON + timedelta(hours=1), 99_000.0)]
    assert rate(seen, GAP) == 1.0


def test_a_history_keeps_so_many_points_and_series_and_no_longer_than_its_span() -> None:
    kept = Histories(span=timedelta(minutes=1), points=3, most=2)
    for number, point in enumerate(points(*range(100))):
        kept.add("a", point)
        kept.add(f"b{number}", point)
    assert len(kept) == 2
    end = points(*range(100))[-1].at
    assert [p.value for p in kept.window("a", end, timedelta(hours=1))] == [97, 98, 99]
    assert kept.window("b0", end, timedelta(hours=1)) == []


def test_a_window_is_open_at_its_start_and_a_point_that_comes_late_is_left_out() -> None:
    kept = Histories(span=timedelta(hours=1), points=100, most=9)
    for point in [*points(0, 1, 2, 3), Point(NOON, 9.0), Point(NOON + timedelta(seconds=45), 9.0)]:
        kept.add("a", point)
    end = NOON + timedelta(seconds=30)
    assert [p.value for p in kept.window("a", end, timedelta(seconds=30))] == [1, 2]


def test_series_that_went_silent_are_forgotten() -> None:
    kept = Histories(span=timedelta(minutes=1), points=3, most=9)
    kept.add("old", Point(NOON, 1.0))
    kept.add("new", Point(NOON + timedelta(minutes=2), 1.0))
    kept.prune(NOON + timedelta(minutes=2))
    assert len(kept) == 1


@given(st.lists(st.floats(min_value=0, max_value=2.0**70), max_size=20))
def test_a_counter_never_shrinks(values: list[float]) -> None:
    assert increase(points(*values)) >= 0
