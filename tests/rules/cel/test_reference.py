"""Our compiler and the CEL project's own engine agree, values and failures alike."""

import os
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rules.cel.expressions import Expressions, bindings
from tests.rules.cel.reference import FAILED, agree, evaluate, reference

EXAMPLES = int(os.environ.get("CEL_EXAMPLES", "300"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_expression_has_the_value_that_the_reference_gives_it(
    random: Random, depth: int
) -> None:
    data = bindings(random)
    source = Expressions(random).expression("any", depth)
    assert agree(source, data), (source, data, evaluate(source, data), reference(source, data))


def test_the_comparison_tells_apart_what_python_takes_for_equal() -> None:
    assert evaluate("1", {}) != evaluate("1.0", {})
    assert evaluate("true", {}) != evaluate("1", {})
    assert evaluate("[1]", {}) != reference("[1.0]", {})


def test_the_comparison_knows_failures_from_values() -> None:
    assert evaluate("1 / 0", {}) == reference("1 / 0", {}) == FAILED
    assert agree("a.k", {"a": {}})
    assert not agree("1 == 2 ? 'a'.matches('(') : true", {})  # refused by us; it has a value
