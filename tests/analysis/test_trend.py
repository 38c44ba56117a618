"""Trends: what is told with some confidence comes true that often, and much is not told at all."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from math import nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.season import novelty
from engine.analysis.trend import LEAST, confidence, heads_for, horizon_s, since_step, trend

STEP_S = 120
HOUR = 3600 / STEP_S
DAY_S = 8 * 3600
NOISES = (0.0, 0.002, 0.005, 0.01, 0.02)
Curve = Callable[[float], float]
"""Value by hours."""


def told(buckets: Sequence[float], peaks: Sequence[float] = ()) -> tuple[float, float] | None:
    """Return horizon (hours) and confidence of reaching 1, None for no prediction."""
    found = trend(buckets, STEP_S, 0.01)
    left_s = horizon_s(found, 1.0) if found else None
    if found is None or left_s is None or left_s > DAY_S:
        return None
    # The hours of the rise itself come after those of the days before.
    lately = [max(found.level, found.latest)] * (int(found.span_s // 3600) + 1)
    new = novelty(found, [*peaks, *lately], 1.0)
    return left_s / 3600, confidence(found, left_s) * new


def a_leak(random: Random) -> Curve:
    base, slope = random.uniform(0.1, 0.6), random.uniform(0.02, 0.4)
    return lambda hour: base + slope * hour


def a_late_leak(random: Random) -> Curve:
    base, slope, start = random.uniform(0.1, 0.5), random.uniform(0.1, 0.4), random.uniform(0, 3)
    return lambda hour: base + slope * max(hour - start, 0.0)


def a_faster_leak(random: Random) -> Curve:
    base, slope, more = random.uniform(0.1, 0.4), random.uniform(0, 0.05), random.uniform(0, 0.02)
    return lambda hour: base + slope * hour + more * hour * hour


def a_warm_up(random: Random) -> Curve:
    base, end, slow = random.uniform(0, 0.3), random.uniform(0.3, 1.3), random.uniform(0.5, 12)
    return lambda hour: base + (end - base) * (1 - math.exp(-hour / slow))


def a_day(random: Random) -> Curve:
    middle, swing = random.uniform(0.3, 0.6), random.uniform(0.05, 0.38)
    shift = random.uniform(0, 24)
    return lambda hour: middle + swing * math.sin(2 * math.pi * (hour + shift) / 24)


def a_ramp(random: Random) -> Curve:
    base, height = random.uniform(0.1, 0.4), random.uniform(0.1, 0.5)
    start, width = random.uniform(0, 4), random.uniform(0.2, 3)
    return lambda hour: base + height * min(max((hour - start) / width, 0.0), 1.0)


def a_walk(random: Random) -> Curve:
    step, at = random.uniform(0.002, 0.02), [random.uniform(0.2, 0.8)]
    for _ in range(700):
        at.append(min(max(at[-1] + random.gauss(0, step), 0.0), 0.97))
    return lambda hour: at[min(max(int(hour * HOUR), 0), 700)]


def a_flat(random: Random) -> Curve:
    base = random.uniform(0.1, 0.95)
    return lambda hour: base


def days_before(curve: Curve, kind: str, noise: float, random: Random) -> list[float]:
    """Return two days of hourly peaks of what is alike: ramps and warm-ups come each day."""
    if kind == "a_day":
        return [curve(hour) + 2 * noise for hour in range(-48, 0)]
    if kind == "a_walk":
        return [random.uniform(0.1, 0.95) for _ in range(48)]
    if kind in {"a_ramp", "a_warm_up"} and curve(1000) < 1:
        return [curve(0), *[curve(1000) + 2 * noise] * 47]
    return [curve(0) + 2 * noise] * 48


FAMILIES = (a_leak, a_late_leak, a_faster_leak, a_warm_up, a_day, a_ramp, a_walk, a_flat)


def test_of_what_is_told_with_a_confidence_that_share_comes_true_in_time() -> None:
    """True: the limit is reached no later than in one and a half of the time that was told."""
    random = Random(11)
    came: Counter[tuple[int, bool]] = Counter()
    sure: Counter[str] = Counter()
    for _ in range(130):
        for family in FAMILIES:
            curve, noise = family(random), random.choice(NOISES)
            count = random.randint(LEAST, 120)
            buckets = [curve(n / HOUR) + random.gauss(0, noise) for n in range(count)]
            peaks = days_before(curve, family.__name__, noise, random)
            found = told(buckets, peaks) if max(buckets) < 1 else None
            if found is None:
                continue
            hours, share = found
            end = count / HOUR + 1.5 * hours + 0.2
            came_true = any(curve(n / HOUR) >= 1 for n in range(count, math.ceil(end * HOUR)))
            came[min(int(share * 10), 9), came_true] += 1
            sure[family.__name__] += share >= 0.8
    for least in (5, 6, 7, 8, 9):
        true, false = (sum(came[n, is_true] for n in range(least, 10)) for is_true in (True, False))
        assert true / (true + false) >= least / 10
    assert sum(came[n, True] for n in (8, 9)) >= 100
    assert not sure["a_day"] + sure["a_ramp"] + sure["a_flat"]
    assert min(sure["a_leak"], sure["a_late_leak"], sure["a_faster_leak"]) >= 10


def a_line(count: int = 60, base: float = 0.3, slope: float = 0.005) -> list[float]:
    return [base + slope * n for n in range(count)]


NEW = [0.2] * 48


def test_a_steady_rise_is_told_with_its_time() -> None:
    found = told(a_line(), NEW)
    assert found is not None
    hours, share = found
    assert hours == pytest.approx((1 - 0.3 - 0.005 * 58) * STEP_S / 0.005 / 3600, rel=0.05)
    assert share > 0.9


@pytest.mark.parametrize(
    "buckets",
    [
        [],
        a_line(LEAST - 1),
        [nan] * 100,
        [0.5] * 100,
        a_line(100, 0.9, -0.005),
        [*a_line(80), nan, nan, nan, *a_line(20, 0.7)],
        [*a_line(80), nan, nan, nan],
        [*a_line(90), *a_line(20, 0.1)],
        [*a_line(60, 0.1), *a_line(20, 0.7, 0.0)],
        [1.0] * 60,
        [0.3 + 0.02 * (n % 20) for n in range(120)],
    ],
    ids=[
        "nothing",
        "too few",
        "gaps only",
        "flat",
        "falling",
        "a gap a little ago",
        "a gap now",
        "a restart a little ago",
        "a step up a little ago",
        "at the limit",
        "garbage collection",
    ],
)
def test_what_is_no_rise_to_a_limit_is_not_told(buckets: list[float]) -> None:
    assert told(buckets, NEW) is None


def test_after_a_restart_all_begins_anew() -> None:
    whole = told([*a_line(60, 0.2, 0.01), *a_line(60, 0.1, 0.005)], NEW)
    assert whole == pytest.approx(told(a_line(60, 0.1, 0.005), NEW), rel=0.02)


def test_a_lone_spike_and_lone_gaps_take_little_away() -> None:
    spiked = a_line()
    spiked[20], spiked[40] = 0.95, nan
    found = told(spiked, NEW)
    assert found is not None
    assert found[1] > 0.8


def test_a_rise_below_the_peaks_of_the_days_before_is_no_news() -> None:
    seen = told(a_line(), [0.7] * 48)
    unknown = told(a_line(), [0.2] * 30)
    assert seen is not None
    assert unknown is not None
    assert seen[1] <= 0.5 < unknown[1] <= 0.7


def test_what_reached_the_limit_before_can_do_so_again() -> None:
    found = told(a_line(), [*[0.2] * 47, 1.0])
    assert found is not None
    assert found[1] > 0.9


VALUES = st.floats(-1e9, 1e9) | st.just(nan)


@given(st.lists(VALUES, max_size=120), st.floats(0, 1))
def test_any_series_gives_a_sane_answer(buckets: list[float], floor: float) -> None:
    assert len(since_step(buckets, floor)) <= len(buckets)
    found = trend(buckets, STEP_S, floor)
    if found is None:
        return
    left_s = horizon_s(found, 1e9)
    assert found.noise >= 0
    assert 0 < found.coverage <= 1
    assert left_s is None or left_s >= 0
    assert 0 <= confidence(found, left_s or 1.0) <= 1


@given(st.lists(st.floats(0, 0.9), min_size=120, max_size=120))
def test_the_cheap_question_never_hides_what_the_dear_one_would_tell(moves: list[float]) -> None:
    buckets = [0.3 + 0.0045 * n + (move - 0.45) / 100 for n, move in enumerate(moves)]
    if told(buckets, NEW) is not None:
        assert heads_for(buckets, STEP_S, 1.0, DAY_S)
