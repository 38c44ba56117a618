"""Exact arithmetic of floats by whole numbers, rounded once at the end."""

from math import isqrt
from typing import Final

POINT: Final = 1074
"""Every finite float is a whole multiple of 2**-1074, so sums of them are whole numbers."""
_ROOT_BITS: Final = 128
"""Of a number whose root is taken: enough to round the root once, and rightly."""


def scaled(given: float) -> int:
    """Return a finite number in units of 2**-1074."""
    over, under = given.as_integer_ratio()
    return over << (POINT + 1 - under.bit_length())


def divided(over: int, under: int) -> float:
    """Return the quotient, rounded once; infinite beyond any float."""
    try:
        return over / under
    except OverflowError:
        return float("inf") if over > 0 else float("-inf")


def root(square: int, count: int) -> float:
    """Return sqrt(`square`) / `count` of a square in units of 2**-2148, rounded once."""
    shift = max(0, _ROOT_BITS + 2 * count.bit_length() - square.bit_length()) // 2 + 1
    whole, rest = divmod(square << (2 * shift), count * count)
    found = isqrt(whole)
    lost = rest != 0 or found * found != whole
    return divided(found | lost, 1 << (shift + POINT))
