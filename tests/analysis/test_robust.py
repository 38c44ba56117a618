"""Robust statistics against what they are by definition."""

from statistics import median as known

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.analysis.robust import SIGMA, centre, line, median, smooth

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(VALUES)
def test_the_median_is_the_median(values: list[float]) -> None:
    assert median(values) == pytest.approx(known(values))


@given(VALUES)
def test_the_spread_is_the_scaled_median_deviation_and_never_less_than_the_floor(
    values: list[float],
) -> None:
    found = centre(values, 0.5)
    middle = known(values)
    deviation = SIGMA * known([abs(value - middle) for value in values])
    assert found.spread == pytest.approx(max(deviation, 0.5))
    assert found.score(middle) == pytest.approx(0, abs=1e-6)


def test_a_flat_series_without_a_floor_has_no_score() -> None:
    assert centre([2.0, 2.0]).score(9.0) == 0


@given(st.floats(-100, 100), st.floats(-1e3, 1e3), st.integers(5, 20), st.floats(-1e6, 1e6))
def test_a_line_is_found_although_one_point_is_off(
    slope: float, base: float, count: int, wrong: float
) -> None:
    assume(abs(wrong - base) > 1)
    times = [float(n) for n in range(count)]
    values = [base + slope * time for time in times]
    values[count // 2] = wrong
    found = line(times, values)
    # One of five points is in four of ten pairs: the median is one of the six others.
    assert found.slope == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert found.at(0) == pytest.approx(base, rel=1e-6, abs=1e-3)


def test_a_lone_spike_is_smoothed_away_and_a_step_stays() -> None:
    assert smooth([1, 1, 9, 1, 1, 5, 5]) == [1, 1, 1, 1, 1, 5, 5]
    assert smooth([]) == []
    assert smooth([3]) == [3]
