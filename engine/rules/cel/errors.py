"""What goes wrong with an expression: at compile time, and at run time."""

from typing import Final

from engine.model.errors import DogwatchError

MISSING: Final = "missing"
NO_OVERLOAD: Final = "no_such_overload"
DIVIDE_BY_ZERO: Final = "divide_by_zero"
OVERFLOW: Final = "overflow"
INDEX: Final = "index"
CONVERSION: Final = "conversion"
ARGUMENT: Final = "argument"
DUPLICATE_KEY: Final = "duplicate_key"
UNSUPPORTED: Final = "unsupported"
COST: Final = "cost"


class CelError(DogwatchError):
    """An expression was refused; `line` and `column` count from 1 within its source."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = line
        self.column = column
        self.message = message
        super().__init__(f"{line}:{column} {message}")

    def __reduce__(self) -> tuple[type["CelError"], tuple[int, int, str]]:
        return type(self), (self.line, self.column, self.message)


class EvaluationError(DogwatchError):
    """An expression has no value for these bindings.

    `code` is a stable word, one of the constants of this module. `missing` is true for an absent
    variable, field or map key. `line` and `column` say where in the source, from 1; 0 is unknown.
    """

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0) -> None:
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        super().__init__(code, message, line, column)

    @property
    def missing(self) -> bool:
        """Whether the expression asked for a variable, field or key that is not there."""
        return self.code == MISSING

    def __str__(self) -> str:
        return f"{self.line}:{self.column} {self.message}" if self.line else self.message
