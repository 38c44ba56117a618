"""What compiled code calls beside the functions of CEL: its failures and its checks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NoReturn

from engine.rules.cel import containers, lists, optionals, regexes, values
from engine.rules.cel.errors import COST, MISSING, NO_OVERLOAD, EvaluationError
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


def unless_spent(error: Exception, places: tuple[Place, ...]) -> None:
    """Raise an error that no further evaluation could mend: the budget is used up."""
    if _is_spent(error):
        raise blame(error, places) from None
    error.__traceback__ = None


def _is_spent(error: Exception) -> bool:
    return isinstance(error, EvaluationError) and error.code == COST


class Retry:
    """Evaluates once more by the careful code, which is made when the first error comes."""

    __slots__ = ("_careful", "_make")

    def __init__(self, make: Callable[[], Callable[..., Any]]) -> None:
        self._make = make
        self._careful: Callable[..., Any] | None = None

    def __call__(self, bindings: Mapping[str, Any], meter: Meter | None) -> Any:
        """Return the value; `meter` is what the first evaluation left of the budget."""
        if self._careful is None:
            self._careful = self._make()
        return self._careful(bindings, meter)


def no_bool(value: Any, where: str) -> NoReturn:
    """Raise the error of a value that stands where a bool must."""
    raise EvaluationError(NO_OVERLOAD, f"{where} takes a bool, not a {values.name(value)}")


def attempt(places: tuple[Place, ...], part: Callable[..., Any], *args: Any) -> Any:
    """Return the value of `part`, or the error that it ends with.

    That the budget is used up is no error of a part: it ends the evaluation.
    """
    try:
        return part(*args)
    except FAILURES as error:
        if _is_spent(error):
            raise
        return blame(error, places)


def chain(decisive: bool, places: tuple[Place, ...], *parts: Callable[[], Any]) -> bool:  # noqa: FBT001 (a value of CEL)
    """Return what a chain of `&&` (false is decisive) or `||` comes to, errors or not."""
    return _settled(decisive, (attempt(places, part) for part in parts))


def quantify(  # noqa: PLR0913, PLR0917 (called by compiled code)
    decisive: bool,  # noqa: FBT001 (a value of CEL)
    places: tuple[Place, ...],
    meter: Meter,
    cost: int,
    rows: Iterable[tuple[Any, ...]],
    each: Callable[..., Any],
) -> bool:
    """Return what all() (false is decisive) or exists() comes to over `rows`, errors or not."""

    def outcomes() -> Iterator[Any]:
        for row in rows:
            meter.spend(cost)
            yield attempt(places, each, *row)

    return _settled(decisive, outcomes())


def _settled(decisive: object, outcomes: Iterable[Any]) -> bool:
    """Return the decisive value where one is; else the first error is raised, if there is one."""
    failed: EvaluationError | None = None
    for outcome in outcomes:
        if outcome is decisive:
            return decisive is True
        if failed is None and isinstance(outcome, EvaluationError):
            failed = outcome
    if failed is None:
        return decisive is False
    raise EvaluationError(failed.code, failed.message, failed.line, failed.column)


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
    "NONE": optionals.NONE,
    "Optional": optionals.Optional,
    "attempt": attempt,
    "bound": bound,
    "chain": chain,
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
    "no_bool": no_bool,
    "not_equal": not_equal,
    "optional_elements": optionals.elements,
    "pairs": containers.pairs,
    "plain": values.plain,
    "present": optionals.present,
    "quantify": quantify,
    "real": real,
    "select": containers.select,
    "select_optional": containers.select_optional,
    "sorted_by": lists.in_order_of,
    "str": str,
    "type": type,
    "unless_spent": unless_spent,
    "zip": zip,
})  # fmt: skip
"""The names that compiled code sees; it has no builtins."""
