"""Text columns that take any text on every database."""

from typing import Any, Final

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from engine.model.ids import digest

LONGEST: Final = 600
"""Characters of a name; PostgreSQL indexes no value of more than some 2,700 bytes."""
_ESCAPE, _ZERO = "\x01", "\x00"
_KEPT: Final = 500


class Words(TypeDecorator[str]):
    """Text that may hold zero characters, which PostgreSQL knows no text with.

    There they are written as an escape, and read back as what they were.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return `value` as the database takes it."""
        return value if value is None or dialect.name == "sqlite" else escaped(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what `process_bind_param` was given."""
        if value is None or _ESCAPE not in value or dialect.name == "sqlite":
            return value
        halves = value.split(_ESCAPE * 2)
        return _ESCAPE.join(half.replace(f"{_ESCAPE}0", _ZERO) for half in halves)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:  # noqa: ARG002
        """Let what is compared with this column be written the same way."""
        return self


class Name(Words):
    """An id that a sender chose: one too long for an index of PostgreSQL is cut, with its digest.

    Who asks for the long one, or for the one that is stored, finds it.
    """

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return `value`, cut where it is too long."""
        if value is not None and len(value) > LONGEST and dialect.name != "sqlite":
            value = shortened(value)
        return super().process_bind_param(value, dialect)


def escaped(value: str) -> str:
    """Return `value` without zero characters."""
    if _ZERO not in value and _ESCAPE not in value:
        return value
    return value.replace(_ESCAPE, _ESCAPE * 2).replace(_ZERO, f"{_ESCAPE}0")


def shortened(value: str) -> str:
    """Return what stands for a `value` longer than LONGEST, at most as long as that."""
    return f"{value[:_KEPT]}...{digest(value)}"
