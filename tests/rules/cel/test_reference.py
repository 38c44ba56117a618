"""Our compiler and the CEL project's own engine agree, values and failures alike.

CEL_EXAMPLES is the number of random expressions, 300 unless it says otherwise; each is compared
for three sets of values. The nightly form is CEL_EXAMPLES=100000, some minutes of one core.
CEL_SEED moves to other expressions.
"""

import os
from random import Random

import pytest

from tests.rules.cel.differences import FAILED, KNOWN, Difference
from tests.rules.cel.expressions import Expressions
from tests.rules.cel.reference import Comparison, shape
from tests.rules.cel.values import NAMES, TYPED, dynamic, typed

EXAMPLES = int(os.environ.get("CEL_EXAMPLES", "300"))
SEED = int(os.environ.get("CEL_SEED", "0"))
SHOWN = 10


def differences(seed: int) -> list[str]:
    """Return where the expression of a seed has different outcomes."""
    random = Random(seed)
    declared = random.random() < 0.4
    source = Expressions(random, [*TYPED] if declared else NAMES).expression("any", 1 + seed % 4)
    comparison = Comparison(source, typed=declared)
    found = []
    for _ in range(3):
        bindings = (typed if declared else dynamic)(random)
        if not comparison.agrees(bindings):
            ours, theirs = comparison.ours(bindings), comparison.theirs(bindings)
            found.append(f"{source}\n  {bindings}\n  ours {ours}\n  theirs {theirs}")
    return found


def test_any_expression_has_the_value_that_the_reference_gives_it() -> None:
    found: list[str] = []
    for seed in range(SEED, SEED + EXAMPLES):
        found += differences(seed)
        if len(found) >= SHOWN:
            break
    assert not found, "\n".join(sorted(found, key=len)[:SHOWN])


def test_the_comparison_tells_apart_what_python_takes_for_equal() -> None:
    assert shape(1) != shape(1.0)
    assert shape(True) != shape(1)
    assert shape([1]) != shape([1.0])
    assert Comparison("[1]").ours({}) == Comparison("[1]").theirs({}) == shape([1])


def test_the_comparison_knows_failures_from_values() -> None:
    assert Comparison("1 / 0").ours({}) == Comparison("1 / 0").theirs({}) == FAILED
    assert Comparison("a.k").agrees({"a": {}})


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.example)
def test_every_difference_on_purpose_is_still_one(known: Difference) -> None:
    comparison = Comparison(known.example)
    assert comparison.ours(known.bindings) != comparison.theirs(known.bindings)
    assert comparison.agrees(known.bindings)
