"""Two conditions over measures overlap when values are found for which both hold."""

import pytest

from engine.rules.cel import compile as compile_cel
from engine.rules.overlap import overlap


def found(one: str, other: str, **measures: str) -> dict[str, float]:
    return overlap(compile_cel(one), compile_cel(other), measures or {"n": "count"}, {"limit": 5})


@pytest.mark.parametrize(
    ("having", "clear"),
    [
        ("m.n > 5", "m.n < 10"),
        ("m.n > 5", "m.n <= 6"),
        ("m.n >= 5", "m.n <= 5"),
        ("m.n > params.limit", "m.n != 9"),
        ("m.n > 5", "true"),
        ("m.n > 100 || m.n == 3", "m.n < 4"),
    ],
)
def test_an_overlap_has_a_witness(having: str, clear: str) -> None:
    witness = found(having, clear)
    for source in (having, clear):
        assert compile_cel(source).evaluate({"m": witness, "params": {"limit": 5}}) is True


@pytest.mark.parametrize(
    ("having", "clear"),
    [
        ("m.n > 5", "m.n <= 5"),
        ("m.n > 5", "m.n < 3"),
        ("m.n > 5", "m.n < 6"),
        ("m.n > 5", "m.n < -2"),
        ("m.n > params.limit", "m.n <= params.limit"),
        ("m.n > 5", "m.gone < 3"),
    ],
)
def test_hysteresis_is_no_overlap(having: str, clear: str) -> None:
    assert found(having, clear) == {}


def test_a_value_that_is_not_whole_can_be_between_two_limits() -> None:
    assert found("m.s > 5", "m.s < 6", s="sum") == {"s": 5.5}


def test_several_measures_are_tried_together() -> None:
    assert found("m.a > 5 && m.b < 2", "m.b < 1", a="count", b="count")
    assert found("m.a > 5 && m.b < 2", "m.a < 3 || m.b > 4", a="count", b="count") == {}


def test_calls_are_not_looked_into() -> None:
    assert found("m.n > 5", "int(m.n) < 10") == {}
