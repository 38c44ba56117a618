"""The functions of CEL's extensions: math, lists, sets, optional, regex, encoders, format."""

from collections.abc import Callable
from math import isfinite, isinf, isnan
from typing import Final

from engine.rules.cel import encodings, formatting, lists, optionals, regexes
from engine.rules.cel import mathematics as of
from engine.rules.cel.conversions import same
from engine.rules.cel.numbers import Uint
from engine.rules.cel.overloads import Overload, Run, Table, plain
from engine.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    STRING,
    UINT,
    ListType,
    OptionalType,
    Type,
    join,
)

_LIST: Final = ListType()
_OPTIONAL: Final = OptionalType()


def _element(of_list: Type, *_: Type) -> Type:
    return of_list.elem if isinstance(of_list, ListType) else DYN


def _same_list(of_list: Type, *_: Type) -> Type:
    return ListType(_element(of_list))


def _optional_element(of_list: Type) -> Type:
    return OptionalType(_element(of_list))


def _content(optional: Type, *_: Type) -> Type:
    return optional.elem if isinstance(optional, OptionalType) else DYN


def _content_or(optional: Type, default: Type) -> Type:
    return join(_content(optional), default)


def _numbers(on_int: Run, on_uint: Run, on_double: Run) -> list[Overload]:
    runs = ((INT, on_int), (UINT, on_uint), (DOUBLE, on_double))
    return [Overload((kind,), kind, plain(run)) for kind, run in runs]


def _bits(run: Callable[[int, int], int]) -> list[Overload]:
    return [
        Overload((INT, INT), INT, plain(run)),
        Overload((UINT, UINT), UINT, plain(lambda one, other: Uint(run(int(one), int(other))))),
    ]


def _shifts(on_int: Run, on_uint: Run) -> list[Overload]:
    return [
        Overload((INT, INT), INT, plain(on_int)),
        Overload((UINT, INT), UINT, plain(on_uint)),
    ]


def _math() -> dict[str, list[Overload]]:
    """Return the math functions; `greatest` and `least` of several are those of one list."""
    table = {
        "abs": _numbers(of.absolute_int, Uint, float.__abs__),
        "sign": _numbers(of.sign_of_int, of.sign_of_uint, of.sign_of_double),
        "bitAnd": _bits(int.__and__),
        "bitOr": _bits(int.__or__),
        "bitXor": _bits(int.__xor__),
        "bitNot": [
            Overload((INT,), INT, plain(int.__invert__)),
            Overload((UINT,), UINT, plain(of.inverted)),
        ],
        "bitShiftLeft": _shifts(of.shifted_left, of.shifted_left_uint),
        "bitShiftRight": _shifts(of.shifted_right, of.shifted_right_uint),
        "sqrt": [Overload((kind,), DOUBLE, plain(of.root)) for kind in (INT, UINT, DOUBLE)],
    }
    for name, extreme in (("greatest", of.greatest), ("least", of.least)):
        alone = [Overload((kind,), kind, same) for kind in (INT, UINT, DOUBLE)]
        table[name] = [*alone, Overload((_LIST,), _element, extreme)]
    rounding = {"ceil": of.ceiling, "floor": of.floor, "round": of.rounded, "trunc": of.truncated}
    for name, run in rounding.items():
        table[name] = [Overload((DOUBLE,), DOUBLE, plain(run))]
    for name, test in {"isNaN": isnan, "isInf": isinf, "isFinite": isfinite}.items():
        table[name] = [Overload((DOUBLE,), BOOL, plain(test))]
    return table


def _namespaces() -> Table:
    two = (_LIST, _LIST)
    texts = (STRING, STRING)
    namespaces: dict[str, dict[str, list[Overload]]] = {
        "math": _math(),
        "lists": {"range": [Overload((INT,), ListType(INT), lists.count_to)]},
        "sets": {
            "contains": [Overload(two, BOOL, lists.is_subset)],
            "equivalent": [Overload(two, BOOL, lists.are_equivalent)],
            "intersects": [Overload(two, BOOL, lists.intersect)],
        },
        "optional": {
            "none": [Overload((), _OPTIONAL, plain(optionals.none))],
            "of": [Overload((DYN,), OptionalType, plain(optionals.Optional))],
            "ofNonZeroValue": [Overload((DYN,), OptionalType, plain(optionals.of_non_zero))],
        },
        "regex": {
            "extract": [Overload(texts, OptionalType(STRING), regexes.extract)],
            "extractAll": [Overload(texts, ListType(STRING), regexes.extract_all)],
            "replace": [
                Overload((*texts, STRING), STRING, regexes.replace),
                Overload((*texts, STRING, INT), STRING, regexes.replace_some),
            ],
        },
        "base64": {
            "encode": [Overload((BYTES,), STRING, encodings.base64_of)],
            "decode": [Overload((STRING,), BYTES, encodings.from_base64)],
        },
        "strings": {"quote": [Overload((STRING,), STRING, encodings.quoted)]},
    }
    return {
        (f"{space}.{name}", False): overloads
        for space, functions in namespaces.items()
        for name, overloads in functions.items()
    }


def _methods() -> Table:
    methods: dict[str, list[Overload]] = {
        "format": [Overload((STRING, _LIST), STRING, formatting.formatted)],
        "slice": [Overload((_LIST, INT, INT), _same_list, lists.part)],
        "flatten": [
            Overload((_LIST,), _LIST, lists.flat),
            Overload((_LIST, INT), _LIST, lists.flat_to),
        ],
        "sort": [Overload((_LIST,), _same_list, lists.in_order)],
        "distinct": [Overload((_LIST,), _same_list, lists.distinct)],
        "reverse": [Overload((_LIST,), _same_list, lists.backwards)],
        "first": [Overload((_LIST,), _optional_element, lists.first)],
        "last": [Overload((_LIST,), _optional_element, lists.last)],
        "hasValue": [Overload((_OPTIONAL,), BOOL, plain(optionals.has_value))],
        "value": [Overload((_OPTIONAL,), _content, plain(optionals.content))],
        "or": [Overload((_OPTIONAL, _OPTIONAL), join, plain(optionals.either))],
        "orValue": [Overload((_OPTIONAL, DYN), _content_or, plain(optionals.content_or))],
    }
    return {(name, True): overloads for name, overloads in methods.items()}


EXTENSIONS: Final[Table] = _namespaces() | _methods()
