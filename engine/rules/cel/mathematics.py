"""The math extension of CEL: the largest and smallest, rounding, signs and bits."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engine.rules.cel.errors import ARGUMENT, NO_OVERLOAD, EvaluationError
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint, int_of
from engine.rules.cel.values import NUMBERS, alike, kind

_BITS: Final = 64
_ALL: Final = 2**_BITS - 1
_HALF: Final = 0.5


def _extreme(function: str, better: Callable[[Any, Any], bool], meter: Meter, numbers: Any) -> Any:
    """Return the first of the numbers that no other is better than; NaN is never better."""
    meter.spend(1 + 4 * len(numbers))
    if not numbers:
        raise EvaluationError(ARGUMENT, f"{function}() of an empty list")
    if any(kind(number) not in NUMBERS for number in numbers):
        raise EvaluationError(NO_OVERLOAD, f"{function}() takes numbers only")
    found = numbers[0]
    for number in numbers[1:]:
        if better(*alike(number, found)):
            found = number
    return found


greatest = partial(_extreme, "math.greatest", lambda one, other: one > other)
least = partial(_extreme, "math.least", lambda one, other: one < other)


def _kept(rounded: Callable[[float], int], value: float) -> float:
    """Round a finite double; the sign of a zero stays."""
    return math.copysign(float(rounded(value)), value) if math.isfinite(value) else value


def ceiling(value: float) -> float:
    """Return the least whole number that is not below `value`."""
    return _kept(math.ceil, value)


def floor(value: float) -> float:
    """Return the greatest whole number that is not above `value`."""
    return _kept(math.floor, value)


def truncated(value: float) -> float:
    """Return `value` without its decimals."""
    return _kept(math.trunc, value)


def rounded(value: float) -> float:
    """Return the whole number nearest to `value`; a half goes away from zero."""
    return _kept(_nearest, value)


def _nearest(value: float) -> int:
    whole = math.trunc(value)
    if abs(value - whole) < _HALF:
        return whole
    return whole + (1 if value > 0 else -1)


def absolute_int(value: int) -> int:
    """Return `value` without its sign, or fail with overflow."""
    return int_of(abs(value))


def sign_of_int(value: int) -> int:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0)


def sign_of_uint(value: int) -> Uint:
    """Return 0 or 1."""
    return Uint(value > 0)


def sign_of_double(value: float) -> float:
    """Return -1.0, 0.0 or 1.0, and NaN of NaN."""
    return value if math.isnan(value) else float((value > 0) - (value < 0))


def root(value: float) -> float:
    """Return the square root, NaN of a number below zero."""
    return math.sqrt(value) if value >= 0 else math.nan


def _signed(bits: int) -> int:
    """Return the int whose two's complement has these 64 bits."""
    return bits - (_ALL + 1) if bits >> (_BITS - 1) else bits


def inverted(value: Uint) -> Uint:
    """Return `value` with all 64 bits turned."""
    return Uint(~value & _ALL)


def _distance(function: str, bits: int) -> int:
    if bits < 0:
        raise EvaluationError(ARGUMENT, f"math.{function}() by {bits}: it takes no negative number")
    return min(bits, _BITS)


def shifted_left(value: int, bits: int) -> int:
    """Return `value` with its bits moved up; what leaves 64 bits is lost."""
    return _signed((value << _distance("bitShiftLeft", bits)) & _ALL)


def shifted_right(value: int, bits: int) -> int:
    """Return `value` with its bits moved down; zeros come in, whatever its sign."""
    return _signed((value & _ALL) >> _distance("bitShiftRight", bits))


def shifted_left_uint(value: int, bits: int) -> Uint:
    """Return `value` with its bits moved up; what leaves 64 bits is lost."""
    return Uint((value << _distance("bitShiftLeft", bits)) & _ALL)


def shifted_right_uint(value: int, bits: int) -> Uint:
    """Return `value` with its bits moved down."""
    return Uint(value >> _distance("bitShiftRight", bits))
