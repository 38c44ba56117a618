"""What compiled code calls beside the functions of CEL: its failures and its checks."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NoReturn

from engine.rules.cel import containers, lists, optionals, regexes, values
from engine.rules.cel.errors import MISSING, NO_OVERLOAD, EvaluationError
from engine.rules.cel.meter import UNMETERED, Meter

FILENAME: Final = "<cel>"
FAILURES: Final = (EvaluationError, KeyError, TypeError)
"""What compiled code may raise: a plain subscription fails with KeyError or TypeError."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands, and how its value is called in a message."""

    line: int
    column: int
    what: str


def blame(error: Exception, places: tuple[Place, ...]) -> EvaluationError:
    """Return `error` as an EvaluationError with its place in the source.

    The result is a new object, and `error` loses its traceback: compiled code keeps errors in
    variables, which would otherwise keep their frames alive in a circle.
    """
    trace, number = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            number = trace.tb_lineno
        trace = trace.tb_next
    error.__traceback__ = None
    place = places[number]
    if isinstance(error, EvaluationError):
        line, column = (error.line, error.column) if error.line else (place.line, place.column)
        return EvaluationError(error.code, error.message, line, column)
    if isinstance(error, KeyError):
        return EvaluationError(MISSING, f"{place.what} is missing", place.line, place.column)
    message = f"{place.what}: what should hold this field is no map"
    return EvaluationError(NO_OVERLOAD, message, place.line, place.column)


def unsettled(value: Any, sign: str) -> NoReturn:
    """Raise the error that decides a chain of `sign`, or one for an operand that is no bool."""
    if isinstance(value, EvaluationError):
        raise value
    raise EvaluationError(NO_OVERLOAD, f"{sign} takes a bool, not a {values.name(value)}")


def condition(value: Any, where: str) -> bool:
    """Return `value`, which must be a bool."""
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(NO_OVERLOAD, f"{where} takes a bool, not a {values.name(value)}")


def negate(value: Any) -> bool:
    """Return `!value`."""
    return not condition(value, "!")


def bound(value: Any) -> Any:
    """Return what a name of cel.bind() stands for, or raise the error that its value ended with."""
    if isinstance(value, EvaluationError):
        raise value
    return value


def real(value: Any) -> Any:
    """Return a JSON number that the schema calls a double as one, be it written without a point."""
    return float(value) if type(value) is int else value


def not_equal(meter: Meter, left: Any, right: Any) -> bool:
    """Return `left != right`."""
    return not values.equal(meter, left, right)


HELPERS: Final = MappingProxyType({
    "FAILURES": FAILURES,
    "SCALARS": values.SCALARS,
    "UNMETERED": UNMETERED,
    "Meter": Meter,
    "at_least": values.at_least,
    "at_most": values.at_most,
    "blame": blame,
    "condition": condition,
    "NONE": optionals.NONE,
    "Optional": optionals.Optional,
    "bound": bound,
    "contains": containers.contains,
    "dict": dict,
    "elements": containers.elements,
    "entry": containers.entry,
    "equal": values.equal,
    "float": float,
    "found": regexes.found,
    "greater": values.greater,
    "has_field": containers.has_field,
    "index": containers.index,
    "index_optional": containers.index_optional,
    "int": int,
    "less": values.less,
    "make_map": containers.make_map,
    "merge": containers.merge,
    "negate": negate,
    "not_equal": not_equal,
    "optional_elements": optionals.elements,
    "pairs": containers.pairs,
    "plain": values.plain,
    "present": optionals.present,
    "real": real,
    "select": containers.select,
    "select_optional": containers.select_optional,
    "sorted_by": lists.in_order_of,
    "str": str,
    "type": type,
    "unsettled": unsettled,
})  # fmt: skip
"""The names that compiled code sees; it has no builtins."""
