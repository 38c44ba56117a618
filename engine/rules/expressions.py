"""The CEL expressions of rules, compiled against the types of their streams."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.rules.cel import CelError, EvaluationError, Program
from engine.rules.cel import compile as compile_cel
from engine.rules.cel.types import BOOL, DOUBLE, DYN, INT, STRING, TIMESTAMP, StructType, Type
from engine.rules.rule import Selector
from engine.rules.shaping import Notes
from engine.rules.streams import signal_type, stream_of
from engine.rules.yaml import Node

_SCALARS: Final[Mapping[type, Type]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
_MEASURED: Final[Mapping[str, Type]] = {
    **dict.fromkeys(("count", "distinct", "changes"), INT),
    **dict.fromkeys(("avg", "rate", "slope", "stddev"), DOUBLE),
    **dict.fromkeys(("p50", "p75", "p90", "p95", "p99"), DOUBLE),
}
"""Type of each aggregate; the others are numbers or values as the signals had them."""

Programs = dict[tuple[str, Hashable], Program | CelError]
"""What was compiled so far: equal sources under equal types share a program."""


@dataclass(frozen=True)
class Scope:
    """What an expression can name: types by name; equal ones have an equal `key`."""

    types: Mapping[str, Type]
    key: Hashable
    programs: Programs


@dataclass(frozen=True)
class Names:
    """What the expressions of one rule can name."""

    stream: tuple[tuple[str, tuple[str, ...]], ...]
    params: Mapping[str, Type]
    programs: Programs

    def of_signal(self) -> Scope:
        """Return the names of `when`, `of` and `where`."""
        types: Mapping[str, Type] = {
            "signal": signal_type(self.stream),
            "old": DYN,
            "now": TIMESTAMP,
            "params": StructType("params", self.params, open=False),
        }
        return Scope(types, (self.stream, self._params()), self.programs)

    def of_group(self, measures: Mapping[str, str] | None) -> Scope:
        """Return the names of `having` and `clear`; `measures` is name -> fn, None without over."""
        if measures is None:
            return self.of_signal()
        types: Mapping[str, Type] = {
            "m": StructType(
                "m", {name: _MEASURED.get(fn, DYN) for name, fn in measures.items()}, open=False
            ),
            "now": TIMESTAMP,
            "params": StructType("params", self.params, open=False),
        }
        return Scope(types, (tuple(sorted(measures.items())), self._params()), self.programs)

    def of_step(self, selectors: Iterable[Selector]) -> Scope:
        """Return the names of the `when` of a step that takes `selectors`."""
        return replace(self, stream=stream_of(selectors)).of_signal()

    def _params(self) -> Hashable:
        return tuple(sorted((name, str(type_)) for name, type_ in self.params.items()))


def names_of(selectors: Iterable[Selector], params: Mapping[str, Any], programs: Programs) -> Names:
    """Return what the expressions of a rule over `selectors` with `params` can name."""
    types = {name: _SCALARS.get(type(value), DYN) for name, value in params.items()}
    return Names(stream_of(selectors), types, programs)


def compiled(
    node: Node | None, scope: Scope, notes: Notes, *, boolean: bool = True
) -> Program | None:
    """Return the program of the expression `node`; faults go to `notes`.

    A boolean expression must be one, and must not be the same whatever the signals say.
    """
    if node is None:
        return None
    source = str(node.value)
    program = _program(source, scope)
    if isinstance(program, CelError):
        offset = _offset(source, program.line, program.column)
        notes.error(node, program.message, "cel", offset=offset)
        return None
    if boolean and program.type not in {BOOL, DYN}:
        notes.error(node, f"expected true or false, but this is {program.type}", "cel")
        return None
    if boolean and (constant := _constant(program)) is not None:
        notes.warn(node, f"this is always {str(constant).lower()}", "constant")
    return program


def _program(source: str, scope: Scope) -> Program | CelError:
    key = (source, scope.key)
    if key not in scope.programs:
        try:
            scope.programs[key] = compile_cel(source, schema=scope.types)
        except CelError as error:
            scope.programs[key] = error
    return scope.programs[key]


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
