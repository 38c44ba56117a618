"""Quantities of Kubernetes are read exactly, and shown as people write them."""

from fractions import Fraction

import pytest

from engine.analysis.quantity import parse, show


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("100m", Fraction(1, 10)),
        ("1", Fraction(1)),
        (2, Fraction(2)),
        (0.5, Fraction(1, 2)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("128974848", Fraction(128974848)),
        ("129e6", Fraction(129_000_000)),
        ("1E3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("129M", Fraction(129_000_000)),
        ("500u", Fraction(1, 2000)),
        ("1n", Fraction(1, 10**9)),
        ("123Mi", Fraction(123 * 2**20)),
        ("+.5k", Fraction(500)),
        ("-1", Fraction(-1)),
        ("4Ei", Fraction(4 * 2**60)),
    ],
)
def test_a_quantity_is_read_exactly(text: object, amount: Fraction) -> None:
    assert parse(text) == amount


@pytest.mark.parametrize("text", ["", "m", "1 G", "1GB", "0x10", "1e", None, True, [], "1" * 99])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("resource", "text", "shown"),
    [
        ("cpu", "1500m", "1500m"),
        ("cpu", "2000m", "2"),
        ("memory", "1536Mi", "1.5Gi"),
        ("memory", "100", "100"),
        ("nvidia.com/gpu", "4", "4"),
    ],
)
def test_an_amount_is_shown_in_the_unit_of_its_resource(
    resource: str, text: str, shown: str
) -> None:
    amount = parse(text)
    assert amount is not None
    assert show(resource, amount) == shown
