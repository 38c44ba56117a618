"""Aggregates are exact and do not depend on order."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import fsum, inf, nextafter
from statistics import pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.rule import Measure
from engine.stream.aggregates import AGGREGATES, Mean, Total
from engine.stream.measures import (
    BadValue,
    described,
    distinct_key,
    grown,
    number,
    step,
)
from tests.stream.building import a_measure

NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-1e290, 1e290))


@given(st.lists(st.floats(-1e290, 1e290), min_size=1))
def test_a_sum_of_floats_is_correctly_rounded(values: list[float]) -> None:
    total = Total()
    for value in values:
        total.add(value)
    assert total.value() == fsum(values)


@given(st.lists(NUMBERS, min_size=1))
def test_an_average_is_correctly_rounded(values: list[float]) -> None:
    mean = Mean()
    for value in values:
        mean.add(value)
    assert mean.value() == float(sum(map(Fraction, values)) / len(values))


POOLED = ("sum", "avg", "min", "p50", "p75", "p90", "p95", "p99", "max", "stddev")
PAIRS = st.tuples(st.integers(0, 3).map(lambda one: 10**15 + one), NUMBERS)
GIVEN = {
    **dict.fromkeys(POOLED, NUMBERS),
    **dict.fromkeys(("increase", "rate", "delta"), st.builds(step, NUMBERS, NUMBERS)),
    **dict.fromkeys(("count", "changes"), st.integers(0, 9)),
    "distinct": st.sampled_from("abc"),
    "slope": PAIRS,
}


@pytest.mark.parametrize("fn", sorted(GIVEN))
@given(data=st.data())
def test_what_was_dropped_leaves_no_trace(fn: str, data: Any) -> None:
    values = data.draw(st.lists(GIVEN[fn], min_size=1, max_size=9))
    kept = data.draw(st.lists(st.sampled_from(values), max_size=5))
    dropped, plain = AGGREGATES[fn](), AGGREGATES[fn]()
    for value in data.draw(st.permutations([*values, *kept])):
        dropped.add(value)
    for value in data.draw(st.permutations(values)):
        dropped.drop(value)
    for value in kept:
        plain.add(value)
    assert repr(dropped.value()) == repr(plain.value())


def test_every_measure_but_the_last_value_is_tried() -> None:
    assert set(GIVEN) == set(AGGREGATES) - {"last"}


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1))
def test_a_deviation_of_ints_is_that_of_the_standard_library(values: list[int]) -> None:
    assert measured("stddev", values) == pstdev(values)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_deviation_is_the_root_of_the_exact_variance_rounded_once(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    found = measured("stddev", values)
    low, high = (Fraction(nextafter(found, way)) for way in (0.0, inf))
    assert ((low + Fraction(found)) / 2) ** 2 <= variance <= ((high + Fraction(found)) / 2) ** 2


@pytest.mark.parametrize(("fn", "percent"), [("p50", 50), ("p75", 75), ("p90", 90), ("p99", 99)])
@given(values=st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_percentile_lies_linearly_between_the_closest_ranks(
    fn: str, percent: int, values: list[float]
) -> None:
    exact = sorted(map(Fraction, values))
    place, rest = divmod(Fraction(percent * (len(exact) - 1), 100), 1)
    low, high = exact[int(place)], exact[min(int(place) + 1, len(exact) - 1)]
    assert measured(fn, values) == float(low + (high - low) * rest)


@given(st.lists(PAIRS, min_size=1, max_size=9))
def test_a_slope_is_that_of_the_exact_least_squares_line(values: list[tuple[int, float]]) -> None:
    times = [Fraction(at, 10**6) for at, _ in values]
    numbers = [Fraction(value) for _, value in values]
    middle, mean = sum(times) / len(times), sum(numbers) / len(numbers)
    under = sum((at - middle) ** 2 for at in times)
    over = sum((at - middle) * (n - mean) for at, n in zip(times, numbers, strict=True))
    assert measured("slope", values) == (float(over / under) if under else None)


@given(st.lists(NUMBERS, min_size=2))
def test_steps_that_follow_one_another_sum_to_last_less_first(values: list[float]) -> None:
    steps = [step(now, before) for before, now in pairwise(values)]
    exact = Fraction(values[-1]) - Fraction(values[0])
    found = measured("delta", steps)
    assert found == (float(exact) if isinstance(found, float) else exact)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (a_measure("count"), "count"),
        (a_measure("sum", "signal.value"), "sum of signal.value"),
        (
            a_measure("sum", "signal.value", latest=True),
            "sum of the latest signal.value of each series",
        ),
        (a_measure("count", latest=True), "count of the latest signal of each series"),
    ],
)
def test_a_measure_in_words(measure: Measure, words: str) -> None:
    assert described(measure) == words


def measured(fn: str, values: Sequence[Any]) -> Any:
    aggregate = AGGREGATES[fn]()
    for value in values:
        aggregate.add(value)
    return aggregate.value()


def test_equal_ints_and_floats_leave_no_trace_of_their_order() -> None:
    extreme = AGGREGATES["max"]()
    for value in (1, 1.0, 1):
        extreme.add(value)
    extreme.drop(1.0)
    assert repr(extreme.value()) == "1"


def test_tenths_cancel_exactly() -> None:
    total = Total()
    for value in (0.1, 0.2, 0.3):
        total.add(value)
    total.drop(0.1)
    total.drop(0.2)
    assert total.value() == 0.3


def test_a_sum_of_ints_is_an_int_and_empty_is_nought() -> None:
    total = Total()
    assert total.value() == 0
    total.add(2**62)
    total.add(2**62 - 1)
    assert repr(total.value()) == str(2**63 - 1)


def test_a_sum_of_ints_beyond_64_bits_is_a_float() -> None:
    total = Total()
    for _ in range(9):
        total.add(2**62)
    assert repr(total.value()) == repr(float(9 * 2**62))


def test_a_sum_beyond_any_float_is_infinite_and_no_crash() -> None:
    total = Total()
    for _ in range(2**10):
        total.add(9.9e299)
    for _ in range(30):
        total.scaled *= 2
    assert total.value() == float("inf")


def test_what_is_empty_has_no_average_and_no_extreme() -> None:
    empty = {fn for fn, made in AGGREGATES.items() if made().value() is None}
    assert empty == {*POOLED, "slope", "last"} - {"sum"}


@pytest.mark.parametrize("value", [True, "1", None, [1], float("nan"), float("inf"), 10**400])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(BadValue):
        number(value)


def test_equal_numbers_are_one_value_and_texts_another() -> None:
    assert distinct_key(1) == distinct_key(1.0)
    assert len({distinct_key(one) for one in (1, "1", True, [1], None, "true")}) == 6


def test_a_smaller_value_is_a_reset() -> None:
    assert grown(3, 9, initial=False) == 3
    assert grown(9, 3, initial=False) == 6
    assert grown(9, None, initial=False) == 0
    assert grown(9, None, initial=True) == 9
    assert grown(0.25, 9.5, initial=False) == 0.25


def test_a_step_is_exact_ints_or_both_values() -> None:
    assert step(3, 9) == -6
    assert step(0.5, 0.5) == 0.0
    assert step(0.7, 0.1) == (0.7, 0.1)
    assert step(2**63 - 1, -(2**63)) == (2**63 - 1, -(2**63))


def test_no_number_is_a_negative_nought() -> None:
    assert repr(number(-0.0)) == "0.0"
