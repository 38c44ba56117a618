"""The CEL expressions of one rule, compiled against the types of its stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.rules.cel import CelError, EvaluationError, Program
from engine.rules.cel import compile as compile_cel
from engine.rules.cel.types import BOOL, DOUBLE, DYN, INT, STRING, TIMESTAMP, StructType, Type
from engine.rules.shaping import Notes
from engine.rules.yaml import Node

_SCALARS: Final[Mapping[type, Type]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
MEASURED: Final[Mapping[str, Type]] = {"count": INT, "distinct": INT}
"""Type of each aggregate; the others are numbers or values as the signals had them."""


@dataclass(frozen=True)
class Names:
    """What the expressions of one rule can name."""

    signal: StructType
    params: Mapping[str, Any]

    def of_signal(self) -> dict[str, Type]:
        """Return the names of `when`, `of` and `where`."""
        params = {name: _SCALARS.get(type(value), DYN) for name, value in self.params.items()}
        return {
            "signal": self.signal,
            "old": DYN,
            "now": TIMESTAMP,
            "params": StructType("params", params, open=False),
        }

    def of_group(self, measures: Mapping[str, str] | None) -> dict[str, Type]:
        """Return the names of `having` and `clear`; `measures` is name -> fn, None without over."""
        names = self.of_signal()
        if measures is None:
            return names
        types = {name: MEASURED.get(fn, DYN) for name, fn in measures.items()}
        return {
            "m": StructType("m", types, open=False),
            "now": names["now"],
            "params": names["params"],
        }


def compiled(
    node: Node | None, names: Mapping[str, Type], notes: Notes, *, boolean: bool = True
) -> Program | None:
    """Return the program of the expression `node`; faults go to `notes`.

    A boolean expression must be one, and must not be the same whatever the signals say.
    """
    if node is None:
        return None
    source = str(node.value)
    try:
        program = compile_cel(source, schema=names)
    except CelError as error:
        offset = _offset(source, error.line, error.column)
        notes.error(node, error.message, "cel", offset=offset)
        return None
    if boolean and program.type not in {BOOL, DYN}:
        notes.error(node, f"expected true or false, but this is {program.type}", "cel")
        return None
    if boolean and (constant := _constant(program)) is not None:
        notes.warn(node, f"this is always {str(constant).lower()}", "constant")
    return program


def _offset(source: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = source.find("\n", start) + 1
    return min(start + max(column - 1, 0), max(len(source) - 1, 0))


def _constant(program: Program) -> bool | None:
    """Return what the program says although it knows nothing, None where it needs to know."""
    try:
        value = program.evaluate({})
    except EvaluationError:
        return None
    return value if isinstance(value, bool) else None
