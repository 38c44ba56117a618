"""The three number types: 64 bit int and uint with overflow errors, and double."""

from typing import Final

from engine.rules.cel.errors import DIVIDE_BY_ZERO, OVERFLOW, EvaluationError

MAX_INT: Final = 2**63 - 1
MIN_INT: Final = -(2**63)
MAX_UINT: Final = 2**64 - 1


class Uint(int):
    """A CEL uint. Everything that is not a sum compares and hashes as the int that it is."""

    __slots__ = ()


def int_of(value: int) -> int:
    """Return `value`, if it fits into an int.

    Raises:
        EvaluationError: overflow.
    """
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationError(OVERFLOW, "the result does not fit into an int (64 bits)")


def uint_of(value: int) -> Uint:
    """Return `value` as a Uint.

    Raises:
        EvaluationError: overflow, also for a negative value.
    """
    if 0 <= value <= MAX_UINT:
        return Uint(value)
    raise EvaluationError(OVERFLOW, "the result does not fit into a uint (64 bits, no sign)")


def _quotient(left: int, right: int) -> int:
    """Divide towards zero, as CEL does; Python rounds down."""
    if right == 0:
        raise EvaluationError(DIVIDE_BY_ZERO, "division by zero")
    floor = abs(left) // abs(right)
    return floor if (left < 0) == (right < 0) else -floor


def _remainder(left: int, right: int) -> int:
    """Return what is left of `left`, with its sign."""
    if right == 0:
        raise EvaluationError(DIVIDE_BY_ZERO, "remainder of a division by zero")
    if left == MIN_INT and right == -1:
        raise EvaluationError(OVERFLOW, "the quotient does not fit into an int (64 bits)")
    return left - right * _quotient(left, right)


def add_int(left: int, right: int) -> int:
    """Add, or fail with overflow."""
    return int_of(left + right)


def subtract_int(left: int, right: int) -> int:
    """Subtract, or fail with overflow."""
    return int_of(left - right)


def multiply_int(left: int, right: int) -> int:
    """Multiply, or fail with overflow."""
    return int_of(left * right)


def divide_int(left: int, right: int) -> int:
    """Divide towards zero, or fail with divide_by_zero or overflow."""
    return int_of(_quotient(left, right))


def remainder_int(left: int, right: int) -> int:
    """Return the remainder, which has the sign of `left`."""
    return int_of(_remainder(left, right))


def add_uint(left: int, right: int) -> Uint:
    """Add without sign, or fail with overflow."""
    return uint_of(int(left) + int(right))


def subtract_uint(left: int, right: int) -> Uint:
    """Subtract without sign, or fail with overflow."""
    return uint_of(int(left) - int(right))


def multiply_uint(left: int, right: int) -> Uint:
    """Multiply without sign, or fail with overflow."""
    return uint_of(int(left) * int(right))


def divide_uint(left: int, right: int) -> Uint:
    """Divide without sign, or fail with divide_by_zero."""
    return uint_of(_quotient(int(left), int(right)))


def remainder_uint(left: int, right: int) -> Uint:
    """Return the remainder without sign."""
    return uint_of(_remainder(int(left), int(right)))


def divide_double(left: float, right: float) -> float:
    """Divide as IEEE 754 says: by zero gives an infinity or NaN, never an error."""
    if right != 0:
        return left / right
    if left == 0 or left != left:  # noqa: PLR0124 (NaN is the only value unequal to itself)
        return float("nan")
    return float("inf") * left * _sign(right)


def _sign(zero: float) -> float:
    return -1.0 if str(zero).startswith("-") else 1.0


def negate_int(value: int) -> int:
    """Negate, or fail with overflow."""
    return int_of(-value)
