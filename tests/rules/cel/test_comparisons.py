"""Both sides of each comparison of an expression, for who asks why it is false."""

from __future__ import annotations

from engine.rules.cel import EvaluationError
from engine.rules.cel.comparisons import Compared, comparisons


def test_each_comparison_is_given_with_its_sides_in_order() -> None:
    found = comparisons('m.a + 1 > 3 && m.b in ["x"]', {"m": {"a": 3, "b": "y"}})
    assert found == [Compared(">", 4, 3, True), Compared("in", "y", ["x"], False)]


def test_a_side_without_a_value_is_its_error_and_there_is_no_verdict() -> None:
    (found,) = comparisons("m.a > 3", {"m": {}})
    assert isinstance(found.left, EvaluationError)
    assert found.left.missing
    assert (found.right, found.holds) == (3, None)


def test_comparisons_inside_macros_are_left_out() -> None:
    assert comparisons("[1, 2].all(x, x > 0) || m.a == 1", {"m": {"a": 1}}) == [
        Compared("==", 1, 1, True)
    ]
