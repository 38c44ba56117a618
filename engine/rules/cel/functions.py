"""Every function and operator: what it takes, what it gives, and the code that runs it.

One table serves the checker (which overloads may apply) and the compiler (what to call).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from engine.rules.cel.extensions import EXTENSIONS
from engine.rules.cel.meter import Meter
from engine.rules.cel.numbers import Uint
from engine.rules.cel.optionals import Optional
from engine.rules.cel.overloads import Key, Overload, Run
from engine.rules.cel.standard import STANDARD
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
    OptionalType,
    Type,
    shape,
)
from engine.rules.cel.values import TypeName, kind, no_overload

_PYTHON: Final[Mapping[Type, type]] = MappingProxyType({
    INT: int,
    UINT: Uint,
    DOUBLE: float,
    BOOL: bool,
    STRING: str,
    BYTES: bytes,
    TIMESTAMP: datetime,
    DURATION: timedelta,
    TYPE: TypeName,
    ListType(): list,
    MapType(): dict,
    OptionalType(): Optional,
    DYN: object,
})  # fmt: skip


def _merged() -> Mapping[Key, list[Overload]]:
    keys = [*STANDARD, *(key for key in EXTENSIONS if key not in STANDARD)]
    return MappingProxyType(
        {key: [*STANDARD.get(key, ()), *EXTENSIONS.get(key, ())] for key in keys}
    )


FUNCTIONS: Final = _merged()
QUALIFIED: Final = frozenset(name for name, _ in FUNCTIONS if name[0].isalpha() and "." in name)
"""The functions that are called by a name with a namespace, such as `math.abs`."""


def _caller(function: str, overloads: list[Overload]) -> Run:
    """Return what runs the overload that fits the types of the arguments at run time."""
    if all(param == DYN for overload in overloads for param in overload.params):
        return overloads[0].run
    table = {
        tuple(_PYTHON[shape(param)] for param in overload.params): overload.run
        for overload in overloads
    }

    def call(meter: Meter, *args: Any) -> Any:
        meter.spend(10)
        run = table.get(tuple(map(type, args))) or _find(table, tuple(map(kind, args)))
        if run is None:
            raise no_overload(function, *args)
        return run(meter, *args)

    return call


def _find(table: Mapping[tuple[type, ...], Run], kinds: tuple[type, ...]) -> Run | None:
    """Return what takes values of these kinds; a dynamic parameter takes all."""
    if kinds in table:
        return table[kinds]
    for params, run in table.items():
        if len(params) == len(kinds) and all(
            param in {object, found} for param, found in zip(params, kinds, strict=True)
        ):
            return run
    return None


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
