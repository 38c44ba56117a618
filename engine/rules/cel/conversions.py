"""Conversions between the types, as the reference implementation of CEL does them."""

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NoReturn, TypeVar

from engine.rules.cel.errors import CONVERSION, OVERFLOW, EvaluationError
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import MAX_INT, MAX_UINT, MIN_INT, Uint, int_of, uint_of
from engine.rules.cel.times import EPOCH

_Value = TypeVar("_Value")
_SPACE = " \t\n\v\f\r"
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_DECIMAL = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE
)
_HEX = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?", re.IGNORECASE)
_TRUE = frozenset({"true", "t", "1", "True", "TRUE"})
_FALSE = frozenset({"false", "f", "0", "False", "FALSE"})
_EXPONENT_FROM = 6
_EXPONENT_BELOW = -4


def _refuse(value: str, wanted: str) -> NoReturn:
    raise EvaluationError(CONVERSION, f"{value[:40]!r} is no {wanted}")


def int_from_uint(_: Meter, value: int) -> int:
    """Return a uint as int; overflow above 2^63 - 1."""
    return int_of(int(value))


def int_from_double(_: Meter, value: float) -> int:
    """Cut a double towards zero; overflow at and beyond the ends of the range, and for NaN."""
    if not float(MIN_INT) < value < float(MAX_INT):
        raise EvaluationError(OVERFLOW, f"{value} does not fit into an int")
    return math.trunc(value)


def int_from_string(_: Meter, value: str) -> int:
    """Read a decimal integer."""
    number = _integer(value, "int")
    return number if MIN_INT <= number <= MAX_INT else _refuse(value, "int")


def int_from_timestamp(_: Meter, value: datetime) -> int:
    """Return whole seconds since 1970, rounded down."""
    return (value - EPOCH) // timedelta(seconds=1)


def int_from_bool(_: Meter, value: bool) -> int:  # noqa: FBT001 (a value of CEL, no flag)
    """Return 1 for true and 0 for false."""
    return int(value)


def uint_from_int(_: Meter, value: int) -> Uint:
    """Return an int as uint; overflow below 0."""
    return uint_of(value)


def uint_from_double(_: Meter, value: float) -> Uint:
    """Cut a double towards zero; overflow outside [0, 2^64)."""
    if not 0 <= value < float(MAX_UINT):
        raise EvaluationError(OVERFLOW, f"{value} does not fit into a uint")
    return Uint(math.trunc(value))


def uint_from_string(_: Meter, value: str) -> Uint:
    """Read a decimal integer without sign."""
    number = _integer(value, "uint")
    return Uint(number) if 0 <= number <= MAX_UINT and "-" not in value else _refuse(value, "uint")


def _integer(value: str, wanted: str) -> int:
    text = value.strip(_SPACE)
    return int(text) if _INTEGER.fullmatch(text) else _refuse(value, wanted)


def double_from_int(_: Meter, value: int) -> float:
    """Return the double nearest to an int or uint."""
    return float(value)


def double_from_string(meter: Meter, value: str) -> float:
    """Read a decimal or hexadecimal number, `inf` or `nan`."""
    meter.spend_text(16 * len(value))
    text = value.strip(_SPACE)
    if _HEX.fullmatch(text):
        return float.fromhex(text)
    return float(text) if _DECIMAL.fullmatch(text) else _refuse(value, "double")


def bool_from_string(_: Meter, value: str) -> bool:
    """Read true, t, 1, True, TRUE and their opposites."""
    return value in _TRUE or (value not in _FALSE and _refuse(value, "bool"))


def string_from_int(_: Meter, value: int) -> str:
    """Write an int or uint in decimal."""
    return str(int(value))


def string_from_bool(_: Meter, value: bool) -> str:  # noqa: FBT001 (a value of CEL, no flag)
    """Write `true` or `false`."""
    return "true" if value else "false"


def string_from_double(meter: Meter, value: float) -> str:
    """Write a double with as few digits as name it exactly; an exponent from 1e6 and below 1e-4."""
    if not math.isfinite(value):
        return str(value)
    meter.spend(80)
    sign, numerals, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, numerals)).rstrip("0") or "0"
    power = len(numerals) + int(exponent) - 1 if value else 0
    minus = "-" if sign else ""
    if power < _EXPONENT_BELOW or power >= _EXPONENT_FROM:
        return f"{minus}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{power:+03d}"
    return f"{minus}{_fixed(digits, power)}"


def _fixed(digits: str, power: int) -> str:
    """Write digits whose first one stands for 10^power, without an exponent."""
    if power < 0:
        return f"0.{'0' * (-power - 1)}{digits}"
    whole, decimals = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return f"{whole}.{decimals}" if decimals else whole


def string_from_bytes(meter: Meter, value: bytes) -> str:
    """Read bytes as UTF-8."""
    meter.spend_text(len(value))
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError(CONVERSION, "the bytes are no UTF-8") from error


def bytes_from_string(meter: Meter, value: str) -> bytes:
    """Write a string as UTF-8."""
    meter.spend_text(len(value))
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise EvaluationError(CONVERSION, "the string holds a lone surrogate") from error


def same(_: Meter, value: _Value) -> _Value:
    """Return `value`, for conversions to the type that it has."""
    return value
