"""Aggregates are exact and do not depend on order."""

from fractions import Fraction
from math import fsum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stream.aggregates import AGGREGATES, Mean, Total
from engine.stream.measures import (
    BadValue,
    distinct_key,
    grown,
    number,
)

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


@pytest.mark.parametrize("fn", ["count", "sum", "increase", "avg", "min", "max"])
@given(values=st.lists(NUMBERS, min_size=1), data=st.data())
def test_what_was_dropped_leaves_no_trace(fn: str, values: list[float], data: Any) -> None:
    kept = data.draw(st.lists(st.sampled_from(values)))
    dropped, plain = AGGREGATES[fn](), AGGREGATES[fn]()
    for value in data.draw(st.permutations([*values, *kept])):
        dropped.add(value)
    for value in data.draw(st.permutations(values)):
        dropped.drop(value)
    for value in kept:
        plain.add(value)
    assert dropped.value() == plain.value()


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
    total.add(2**62)
    assert total.value() == 2**63


def test_a_sum_beyond_any_float_is_infinite_and_no_crash() -> None:
    total = Total()
    for _ in range(2**10):
        total.add(9.9e299)
    for _ in range(30):
        total.scaled *= 2
    assert total.value() == float("inf")


def test_what_is_empty_has_no_average_and_no_extreme() -> None:
    assert [AGGREGATES[fn]().value() for fn in ("avg", "min", "max")] == [None, None, None]


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
