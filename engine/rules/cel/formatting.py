"""`format` of the strings extension of CEL: `"%s has %d".format([a, b])`."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from engine.rules.cel import conversions, times
from engine.rules.cel.errors import ARGUMENT, COST, NO_OVERLOAD, EvaluationError
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint
from engine.rules.cel.values import MAX_NESTING, NUMBERS, TypeName, kind, name

_MAX_PRECISION: Final = 1_000
_CLAUSE: Final = re.compile(r"%(?:%|(?:\.(?P<digits>[0-9]{1,9}))?(?P<verb>[sdfexXob])|(?P<wrong>))")
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def formatted(meter: Meter, text: str, args: list[Any]) -> str:
    """Put `args` into the clauses of `text`, in their order; what is left over is not looked at.

    Clauses: %s anything, %d a number, %f and %e a number with `%.2f` decimals, %x %X a number,
    string or bytes in hexadecimal, %o in octal, %b in binary, and %% for the sign itself.

    Raises:
        EvaluationError: argument, for an unknown clause or one without an argument;
            no_such_overload, for an argument of a type that its clause does not take.
    """
    meter.spend_text(4 * len(text))
    waiting = iter(args)
    return _CLAUSE.sub(partial(_clause, meter, text, waiting), text)


def _clause(meter: Meter, text: str, waiting: Any, match: re.Match[str]) -> str:
    if match.group() == "%%":
        return "%"
    if match["verb"] is None:
        found = text[match.start() : match.start() + 6]
        raise EvaluationError(
            ARGUMENT, f"format: {found!r} begins no clause; use %s %d %f %e %x %X %o %b or %%"
        )
    precision = int(match["digits"] or 6)
    if precision > _MAX_PRECISION:
        raise EvaluationError(ARGUMENT, f"format: at most {_MAX_PRECISION} decimals are allowed")
    try:
        value = next(waiting)
    except StopIteration:
        raise EvaluationError(
            ARGUMENT, f"format: there is no argument left for {match.group()}"
        ) from None
    meter.spend(20)
    if match["verb"] in {"f", "e"}:
        return _double(meter, value, match["verb"], precision)
    return _WRITERS[match["verb"]](meter, value)


def _refuse(verb: str, value: Any, wanted: str) -> EvaluationError:
    return EvaluationError(NO_OVERLOAD, f"format: %{verb} takes {wanted}, not a {name(value)}")


def _double(meter: Meter, value: Any, verb: str, precision: int) -> str:
    meter.spend(40 + (precision >> 1))
    number: Any = _SPECIAL.get(value) if isinstance(value, str) else value
    if kind(number) not in NUMBERS:
        raise _refuse(verb, value, "a number")
    return _special(float(number)) or f"{float(number):.{precision}{verb}}"


def _special(value: float) -> str:
    """Return the name of what is no finite number, else an empty text."""
    if math.isfinite(value):
        return ""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(meter: Meter, value: Any) -> str:
    found = kind(value)
    if found is float:
        return _double(meter, value, "f", 6)
    if found not in NUMBERS:
        raise _refuse("d", value, "a number")
    return str(int(value))


def _hexadecimal(meter: Meter, value: Any) -> str:
    found = kind(value)
    if found in {str, bytes}:
        meter.spend_text(2 * len(value))
        encoded = conversions.bytes_from_string(meter, value) if found is str else value
        return bytes.hex(encoded)
    if found not in {int, Uint}:
        raise _refuse("x", value, "an integer, a string or bytes")
    return f"{int(value):x}"


def _octal(_: Meter, value: Any) -> str:
    if kind(value) not in {int, Uint}:
        raise _refuse("o", value, "an integer")
    return f"{int(value):o}"


def _binary(_: Meter, value: Any) -> str:
    if kind(value) not in {int, Uint, bool}:
        raise _refuse("b", value, "an integer or a bool")
    return f"{int(value):b}"


def _any(meter: Meter, value: Any) -> str:
    return _text(meter, value, 0)


def _text(meter: Meter, value: Any, depth: int) -> str:
    """Write any value but an optional one; the keys of a map are sorted."""
    meter.spend(40)
    if depth > MAX_NESTING:
        raise EvaluationError(COST, f"a value nested deeper than {MAX_NESTING} is not written")
    found = kind(value)
    if found is list:
        parts = [_text(meter, each, depth + 1) for each in value]
        return _paid(meter, f"[{', '.join(parts)}]")
    if found is dict:
        entries = sorted(
            (_text(meter, key, depth), _text(meter, each, depth + 1)) for key, each in value.items()
        )
        return _paid(meter, f"{{{', '.join(f'{key}: {each}' for key, each in entries)}}}")
    if found not in _TEXTS:
        raise _refuse("s", value, "anything but an optional value")
    return _paid(meter, _TEXTS[found](meter, value))


def _paid(meter: Meter, text: str) -> str:
    meter.spend_text(len(text))
    return text


def _instant(meter: Meter, value: datetime) -> str:
    """Write a timestamp with as few decimals as it takes, unlike string()."""
    written = times.string_from_timestamp(meter, value)
    return written.removesuffix("Z").rstrip("0") + "Z" if "." in written else written


_TEXTS: Final[Mapping[type, Callable[[Meter, Any], str]]] = {
    str: conversions.same,
    int: conversions.string_from_int,
    Uint: conversions.string_from_int,
    float: lambda _, value: _special(value) or f"{value:g}",
    bool: conversions.string_from_bool,
    bytes: conversions.string_from_bytes,
    type(None): lambda _meter, _value: "null",
    datetime: _instant,
    timedelta: times.string_from_duration,
    TypeName: lambda _, value: str(value.name),
}
_WRITERS: Final[Mapping[str, Callable[[Meter, Any], str]]] = {
    "s": _any,
    "d": _decimal,
    "x": _hexadecimal,
    "X": lambda meter, value: _hexadecimal(meter, value).upper(),
    "o": _octal,
    "b": _binary,
}
