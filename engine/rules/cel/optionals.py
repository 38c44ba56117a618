"""Optional values: what `a.?b` gives, which is a value or none, and their functions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from engine.rules.cel.errors import ARGUMENT, NO_OVERLOAD, EvaluationError

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """A value that may be absent; a field of an absent one is absent too.

    Compiled code reads fields by plain subscription, so an optional value can be subscripted.
    """

    content: Any = _NOTHING

    @property
    def present(self) -> bool:
        """Whether there is a value."""
        return self.content is not _NOTHING

    def __getitem__(self, field: str) -> "Optional":
        if self.content is _NOTHING:
            return self
        try:
            return Optional(self.content[field])  # TypeError of what is no map: as in compiled code
        except KeyError:
            return NONE


NONE: Final = Optional()
"""The optional value without a value."""


def none() -> Optional:
    """Return the optional value that is absent."""
    return NONE


def of_non_zero(value: Any) -> Optional:
    """Return `value`, or none where it is what its type starts from: 0, false, empty, null."""
    empty = value.timestamp() == 0 if isinstance(value, datetime) else not value
    return NONE if empty else Optional(value)


def has_value(optional: Optional) -> bool:
    """Tell whether there is a value."""
    return optional.present


def content(optional: Optional) -> Any:
    """Return the value.

    Raises:
        EvaluationError: argument, when there is none.
    """
    if optional.present:
        return optional.content
    raise EvaluationError(ARGUMENT, "value() of an optional value that is none")


def either(optional: Optional, other: Optional) -> Optional:
    """Return `optional` where it has a value, else `other`."""
    return optional if optional.present else other


def content_or(optional: Optional, default: Any) -> Any:
    """Return the value of `optional`, else `default`."""
    return optional.content if optional.present else default


def present(optional: Any, function: str) -> bool:
    """Tell whether what must be an optional value has one."""
    if isinstance(optional, Optional):
        return optional.present
    raise EvaluationError(NO_OVERLOAD, f"{function} takes an optional value, such as a.?b")


def elements(optional: Any, function: str) -> tuple[Any, ...]:
    """Return the value, if there is one, as what a loop walks over."""
    return (optional.content,) if present(optional, function) else ()
