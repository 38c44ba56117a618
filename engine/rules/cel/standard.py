"""The functions and operators of CEL's standard definition, and its strings extension."""

from collections.abc import Mapping
from typing import Final

from engine.rules.cel import conversions as to
from engine.rules.cel import lists, numbers, regexes, strings, times
from engine.rules.cel.overloads import Overload, Run, Table, plain
from engine.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    ListType,
    MapType,
    Type,
    join,
)
from engine.rules.cel.values import type_of


def _binary(of: Type, run: Run, result: Type | None = None) -> Overload:
    return Overload((of, of), result or of, run)


def _arithmetic(sign: str, on_int: Run, on_uint: Run, on_double: Run) -> Table:
    return {
        (sign, False): [
            _binary(INT, plain(on_int)),
            _binary(UINT, plain(on_uint)),
            _binary(DOUBLE, plain(on_double)),
        ]
    }


def _operators() -> Table:
    table = {
        **_arithmetic("+", numbers.add_int, numbers.add_uint, float.__add__),
        **_arithmetic("-", numbers.subtract_int, numbers.subtract_uint, float.__sub__),
        **_arithmetic("*", numbers.multiply_int, numbers.multiply_uint, float.__mul__),
        **_arithmetic("/", numbers.divide_int, numbers.divide_uint, numbers.divide_double),
        ("%", False): [
            _binary(INT, plain(numbers.remainder_int)),
            _binary(UINT, plain(numbers.remainder_uint)),
        ],
        ("-_", False): [
            Overload((INT,), INT, plain(numbers.negate_int)),
            Overload((DOUBLE,), DOUBLE, plain(float.__neg__)),
        ],
    }
    table["+", False] += [
        _binary(STRING, strings.concatenate),
        _binary(BYTES, strings.concatenate),
        Overload((ListType(), ListType()), join, lists.joined),
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


def _conversions() -> Table:
    table = {
        (_word(wanted), False): [Overload((found,), wanted, run) for found, run in sources.items()]
        for wanted, sources in _CONVERSIONS.items()
    }
    table["dyn", False] = [Overload((DYN,), DYN, to.same)]
    table["type", False] = [Overload((DYN,), TYPE, plain(type_of))]
    return table


def _word(of: Type) -> str:
    return str(of).rsplit(".", maxsplit=1)[-1].lower()


def _strings() -> Table:
    two = (STRING, STRING)
    methods: dict[str, list[Overload]] = {
        "contains": [Overload(two, BOOL, strings.contains)],
        "startsWith": [Overload(two, BOOL, strings.starts_with)],
        "endsWith": [Overload(two, BOOL, strings.ends_with)],
        "matches": [Overload(two, BOOL, regexes.matches)],
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


def _times() -> Table:
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


def _sizes() -> Table:
    sizes = [Overload((of,), INT, plain(len)) for of in (STRING, BYTES, ListType(), MapType())]
    return {("size", False): sizes, ("size", True): sizes}


STANDARD: Final[Table] = _operators() | _conversions() | _strings() | _times() | _sizes()
