"""Seasons: what is unusual is told as that, and what comes each day is not."""

import math
from collections.abc import Sequence
from math import nan
from random import Random

import pytest

from engine.analysis.season import oddness

LEAST = 0.05


def days(count: float, random: Random, swing: float = 0.3, noise: float = 0.02) -> list[float]:
    """Return hourly means up to noon; the last one is that of eleven."""
    hours = range(12 - round(count * 24), 12)
    return [usual(hour, swing) + random.gauss(0, noise) for hour in hours]


def usual(hour: float, swing: float = 0.3) -> float:
    return 1.0 + swing * math.sin(2 * math.pi * (hour - 6) / 24)


def lately(random: Random, level: float, noise: float = 0.03) -> list[float]:
    return [level + random.gauss(0, noise) for _ in range(110)]


def test_what_is_far_from_everything_is_odd_and_sure() -> None:
    random = Random(1)
    found = oddness(3.0, lately(random, 1.25), days(3, random), LEAST)
    assert found.score > 5
    assert found.confidence > 0.9
    low = oddness(0.1, lately(random, 1.25), days(3, random), LEAST)
    assert low.score < -5
    assert low.confidence > 0.9


def test_a_peak_of_each_day_is_nothing_once_two_days_were_seen() -> None:
    """At noon something runs for an hour, each day."""
    random = Random(2)
    hours = [3.0 if n % 24 == 0 else 1.0 + random.gauss(0, 0.02) for n in range(72)]
    assert abs(oddness(3.0, lately(random, 1.0), hours, LEAST).score) < 5
    first_day = oddness(3.0, lately(random, 1.0), hours[1:24], LEAST)
    assert first_day.score > 5
    assert first_day.confidence < 0.8


def test_a_saturday_is_like_the_one_before_it() -> None:
    week = [[1.0] * 24] * 2 + [[2.5] * 24] * 5
    hours = [value for day in week for value in day]
    assert abs(oddness(1.0, lately(Random(3), 2.5), hours, LEAST).score) < 5


def test_a_series_that_is_odd_now_and_then_is_not_believed() -> None:
    """Since yesterday something runs each fourth hour, as it never did before."""
    hours = [1.0] * 72 + [3.0 if n % 4 == 2 else 1.0 for n in range(24)]
    found = oddness(3.0, lately(Random(4), 1.0), hours, LEAST)
    assert found.score > 5
    assert found.confidence < 0.8


@pytest.mark.parametrize(
    ("recent", "hours"), [([], []), ([nan] * 100, [nan] * 60), ([1.0], [nan] * 200)]
)
def test_without_a_past_nothing_is_sure(recent: Sequence[float], hours: Sequence[float]) -> None:
    assert oddness(9.0, recent, hours, LEAST).confidence < 0.5


def test_a_flat_series_is_not_odd_for_a_little_more() -> None:
    found = oddness(1.04, [1.0] * 110, [1.0] * 72, 0.01)
    assert found.score == pytest.approx(0.8)


def test_of_the_anomalies_that_are_told_as_sure_most_are_some() -> None:
    """Half of the series have one; the others are noisy, seasonal, or grow from day to day."""
    random = Random(5)
    true = false = missed = 0
    for _ in range(400):
        swing, noise = random.uniform(0, 0.5), random.choice((0.01, 0.03, 0.1))
        is_one = random.random() < 0.5
        level = usual(12, swing) + random.uniform(0, 0.1)
        value = level + random.gauss(0, noise) + (random.uniform(0.5, 2) if is_one else 0)
        hours = days(random.uniform(1, 6), random, swing, noise)
        found = oddness(value, lately(random, usual(11, swing), noise), hours, LEAST)
        sure = abs(found.score) >= 5 and found.confidence >= 0.8
        true += sure and is_one
        false += sure and not is_one
        missed += is_one and not sure
    assert true >= 40
    assert true / (true + false) >= 0.95
    assert missed < 160
