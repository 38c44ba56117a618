"""Every function and operator: what it takes, what it gives, and the code that runs it.

One table serves the checker (which overloads may apply) and the compiler (what to call).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from engine.rules.cel import conversions as to
from engine.rules.cel import numbers, strings, times
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint
from engine.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    ListType,
    MapType,
    Type,
)
from engine.rules.cel.values import TypeName, kind, no_overload, type_of

Run = Callable[..., Any]
"""Takes the meter, then the arguments; the receiver of a method is the first of them."""


@dataclass(frozen=True)
class Overload:
    """One signature and its code."""

    params: tuple[Type, ...]
    result: Type
    run: Run


Key = tuple[str, bool]
"""Name of a function (an operator by its sign) and whether it is a method."""

_PYTHON: Final[Mapping[Type, type]] = MappingProxyType({
    INT: int,
    UINT: Uint,
    DOUBLE: float,
    BOOL: bool,
    STRING: str,
    BYTES: bytes,
    NULL: type(None),
    TIMESTAMP: datetime,
    DURATION: timedelta,
    TYPE: TypeName,
    ListType(): list,
    ListType(STRING): list,
    MapType(): dict,
})  # fmt: skip


def _plain(run: Callable[..., Any]) -> Run:
    """Adapt code that costs the same for every argument."""
    return lambda _, *args: run(*args)


def _join_lists(meter: Meter, left: list[Any], right: list[Any]) -> list[Any]:
    meter.spend(1 + len(left) + len(right))
    return [*left, *right]


def _binary(of: Type, run: Run, result: Type | None = None) -> Overload:
    return Overload((of, of), result or of, run)


def _arithmetic(sign: str, on_int: Run, on_uint: Run, on_double: Run) -> dict[Key, list[Overload]]:
    return {
        (sign, False): [
            _binary(INT, _plain(on_int)),
            _binary(UINT, _plain(on_uint)),
            _binary(DOUBLE, _plain(on_double)),
        ]
    }


def _operators() -> dict[Key, list[Overload]]:
    table = {
        **_arithmetic("+", numbers.add_int, numbers.add_uint, float.__add__),
        **_arithmetic("-", numbers.subtract_int, numbers.subtract_uint, float.__sub__),
        **_arithmetic("*", numbers.multiply_int, numbers.multiply_uint, float.__mul__),
        **_arithmetic("/", numbers.divide_int, numbers.divide_uint, numbers.divide_double),
        ("%", False): [
            _binary(INT, _plain(numbers.remainder_int)),
            _binary(UINT, _plain(numbers.remainder_uint)),
        ],
        ("-_", False): [
            Overload((INT,), INT, _plain(numbers.negate_int)),
            Overload((DOUBLE,), DOUBLE, _plain(float.__neg__)),
        ],
    }
    table["+", False] += [
        _binary(STRING, strings.concatenate),
        _binary(BYTES, strings.concatenate),
        _binary(ListType(), _join_lists),
        _binary(DURATION, times.add_durations),
        Overload((TIMESTAMP, DURATION), TIMESTAMP, times.add_duration),
        Overload((DURATION, TIMESTAMP), TIMESTAMP, times.add_to_duration),
    ]
    table["-", False] += [
        _binary(DURATION, times.subtract_durations),
        _binary(TIMESTAMP, times.between, DURATION),
        Overload((TIMESTAMP, DURATION), TIMESTAMP, times.subtract_duration),
    ]
    return table


_CONVERSIONS: Final[Mapping[Type, Mapping[Type, Run]]] = {
    INT: {
        INT: to.same,
        UINT: to.int_from_uint,
        DOUBLE: to.int_from_double,
        STRING: to.int_from_string,
        TIMESTAMP: to.int_from_timestamp,
        BOOL: to.int_from_bool,
    },
    UINT: {
        UINT: to.same,
        INT: to.uint_from_int,
        DOUBLE: to.uint_from_double,
        STRING: to.uint_from_string,
    },
    DOUBLE: {
        DOUBLE: to.same,
        INT: to.double_from_int,
        UINT: to.double_from_int,
        STRING: to.double_from_string,
    },
    STRING: {
        STRING: to.same,
        INT: to.string_from_int,
        UINT: to.string_from_int,
        DOUBLE: to.string_from_double,
        BOOL: to.string_from_bool,
        BYTES: to.string_from_bytes,
        TIMESTAMP: times.string_from_timestamp,
        DURATION: times.string_from_duration,
    },
    BYTES: {BYTES: to.same, STRING: to.bytes_from_string},
    BOOL: {BOOL: to.same, STRING: to.bool_from_string},
    TIMESTAMP: {
        TIMESTAMP: to.same,
        STRING: times.timestamp_from_string,
        INT: times.timestamp_from_int,
    },
    DURATION: {DURATION: to.same, STRING: times.duration_from_string},
}


def _conversions() -> dict[Key, list[Overload]]:
    table = {
        (_word(wanted), False): [Overload((found,), wanted, run) for found, run in sources.items()]
        for wanted, sources in _CONVERSIONS.items()
    }
    table["dyn", False] = [Overload((DYN,), DYN, to.same)]
    table["type", False] = [Overload((DYN,), TYPE, _plain(type_of))]
    return table


def _word(of: Type) -> str:
    return str(of).rsplit(".", maxsplit=1)[-1].lower()


def _strings() -> dict[Key, list[Overload]]:
    two = (STRING, STRING)
    methods: dict[str, list[Overload]] = {
        "contains": [Overload(two, BOOL, strings.contains)],
        "startsWith": [Overload(two, BOOL, strings.starts_with)],
        "endsWith": [Overload(two, BOOL, strings.ends_with)],
        "matches": [Overload(two, BOOL, strings.matches)],
        "lowerAscii": [Overload((STRING,), STRING, strings.lower_ascii)],
        "upperAscii": [Overload((STRING,), STRING, strings.upper_ascii)],
        "trim": [Overload((STRING,), STRING, strings.trim)],
        "reverse": [Overload((STRING,), STRING, strings.reverse)],
        "charAt": [Overload((STRING, INT), STRING, strings.char_at)],
        "replace": [
            Overload((*two, STRING), STRING, strings.replace),
            Overload((*two, STRING, INT), STRING, strings.replace_some),
        ],
        "split": [
            Overload(two, ListType(STRING), strings.split),
            Overload((*two, INT), ListType(STRING), strings.split_some),
        ],
        "substring": [
            Overload((STRING, INT), STRING, strings.substring),
            Overload((STRING, INT, INT), STRING, strings.substring_to),
        ],
        "indexOf": [
            Overload(two, INT, strings.index_of),
            Overload((*two, INT), INT, strings.index_of_from),
        ],
        "lastIndexOf": [
            Overload(two, INT, strings.last_index_of),
            Overload((*two, INT), INT, strings.last_index_of_from),
        ],
        "join": [
            Overload((ListType(STRING),), STRING, strings.join),
            Overload((ListType(STRING), STRING), STRING, strings.join_with),
        ],
    }
    return {(name, True): found for name, found in methods.items()} | {
        ("matches", False): methods["matches"]
    }


def _times() -> dict[Key, list[Overload]]:
    table = {
        (name, True): [
            Overload((TIMESTAMP,), INT, times.part_utc(part)),
            Overload((TIMESTAMP, STRING), INT, times.part_in_zone(name, part)),
        ]
        for name, part in times.TIMESTAMP_PARTS.items()
    }
    for name, unit in times.DURATION_PARTS.items():
        table[name, True].append(Overload((DURATION,), INT, times.part_of_duration(unit)))
    table["getMilliseconds", True].append(
        Overload((DURATION,), INT, times.milliseconds_of_duration)
    )
    return table


def _sizes() -> dict[Key, list[Overload]]:
    sizes = [Overload((of,), INT, _plain(len)) for of in (STRING, BYTES, ListType(), MapType())]
    return {("size", False): sizes, ("size", True): sizes}


FUNCTIONS: Final[Mapping[Key, list[Overload]]] = MappingProxyType(
    _operators() | _conversions() | _strings() | _times() | _sizes()
)


def _caller(function: str, overloads: list[Overload]) -> Run:
    """Return what runs the overload that fits the types of the arguments at run time."""
    if any(DYN in overload.params for overload in overloads):
        return overloads[0].run
    table = {
        tuple(_PYTHON[param] for param in overload.params): overload.run for overload in overloads
    }

    def call(meter: Meter, *args: Any) -> Any:
        meter.spend(10)
        run = table.get(tuple(map(type, args))) or table.get(tuple(map(kind, args)))
        if run is None:
            raise no_overload(function, *args)
        return run(meter, *args)

    return call


CALLS: Final[Mapping[Key, Run]] = MappingProxyType(
    {key: _caller(key[0], overloads) for key, overloads in FUNCTIONS.items()}
)

CONSTANT: Final = frozenset({"timestamp", "duration"})
"""Conversions of a literal text that are done, and refused, at compile time."""


def fold(function: str, text: str) -> Any:
    """Return the value of a conversion in CONSTANT.

    Raises:
        EvaluationError: `text` is no such value.
    """
    return CALLS[function, False](Meter(), text)
