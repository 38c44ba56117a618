"""The CEL expressions of rules, compiled against the types of their streams."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.rules.always import Domain, always
from engine.rules.cel import CelError, EvaluationError, Program
from engine.rules.cel import compile as compile_cel
from engine.rules.cel.types import BOOL, DOUBLE, DYN, INT, STRING, TIMESTAMP, StructType, Type
from engine.rules.rule import Selector
from engine.rules.shaping import Notes
from engine.rules.streams import Stream, signal_type, stream_of
from engine.rules.yaml import Node

_SCALARS: Final[Mapping[type, Type]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
_MEASURED: Final[Mapping[str, Type]] = {
    **dict.fromkeys(("count", "distinct", "changes"), INT),
    **dict.fromkeys(("avg", "rate", "slope", "stddev"), DOUBLE),
    **dict.fromkeys(("p50", "p75", "p90", "p95", "p99"), DOUBLE),
}
"""Type of each aggregate; the others are numbers or values as the signals had them."""
_WHOLE: Final = frozenset({"count", "distinct", "changes"})
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_SAYS: Final = {None: "", True: "this is always true", False: "this is always false"}
_REACH: Final = "counts are whole numbers, and neither they nor what grows can be negative"
_NATURAL: Final = _WHOLE | {"increase", "rate", "stddev"}

Programs = dict[tuple[str, Hashable], Program | CelError]
"""What was compiled so far: equal sources under equal types share a program."""


@dataclass(frozen=True)
class Scope:
    """What an expression can name: types by name; equal ones have an equal `key`.

    `domain` is what is known of the values; `measured`: they are those of measures.
    """

    types: Mapping[str, Type]
    key: Hashable
    programs: Programs
    domain: Domain
    measured: bool = False


@dataclass(frozen=True)
class Names:
    """What the expressions of one rule can name."""

    stream: Stream
    params: Mapping[str, Any]
    programs: Programs

    def of_signal(self) -> Scope:
        """Return the names of `when`, `of` and `where`."""
        types: Mapping[str, Type] = {
            "signal": signal_type(self.stream),
            "old": DYN,
            "now": TIMESTAMP,
            "params": self._params(),
        }
        return Scope(types, (self.stream, self._key()), self.programs, self._domain({}))

    def of_group(self, measures: Mapping[str, str] | None) -> Scope:
        """Return the names of `having` and `clear`; `measures` is name -> fn, None without over."""
        if measures is None:
            return self.of_signal()
        types: Mapping[str, Type] = {
            "m": StructType(
                "m", {name: _MEASURED.get(fn, DYN) for name, fn in measures.items()}, open=False
            ),
            "now": TIMESTAMP,
            "params": self._params(),
        }
        key = (tuple(sorted(measures.items())), self._key())
        return Scope(types, key, self.programs, self._domain(measures), measured=True)

    def of_step(self, selectors: Iterable[Selector]) -> Scope:
        """Return the names of the `when` of a step that takes `selectors`."""
        return replace(self, stream=stream_of(selectors)).of_signal()

    def _params(self) -> StructType:
        types = {name: _SCALARS.get(type(value), DYN) for name, value in self.params.items()}
        return StructType("params", types, open=False)

    def _key(self) -> Hashable:
        return tuple(sorted((name, type(value)) for name, value in self.params.items()))

    def _domain(self, measures: Mapping[str, str]) -> Domain:
        constants: dict[tuple[str, ...], Any] = {
            ("params", name): value for name, value in self.params.items()
        }
        natural = frozenset(("m", name) for name, fn in measures.items() if fn in _NATURAL)
        whole = frozenset(("m", name) for name, fn in measures.items() if fn in _WHOLE)
        return Domain(constants, natural, whole)


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
        notes.error(node, program.message + _beside(source[offset:], scope), "cel", offset=offset)
        return None
    if boolean and program.type not in {BOOL, DYN}:
        notes.error(node, f"expected true or false, but this is {program.type}", "cel")
        return None
    if boolean and (problem := _constant(program, scope)):
        notes.warn(node, problem, "constant")
    return program


def _program(source: str, scope: Scope) -> Program | CelError:
    key = (source, scope.key)
    if key not in scope.programs:
        try:
            scope.programs[key] = compile_cel(source, schema=scope.types)
        except CelError as error:
            scope.programs[key] = error
    return scope.programs[key]


def _beside(source: str, scope: Scope) -> str:
    """Return a guess where `source` begins with a word that is not a name, but a field of one."""
    word = _WORD.match(source)
    if word is None or word[0] in scope.types:
        return ""
    ways = [(name, type_) for name, type_ in scope.types.items() if isinstance(type_, StructType)]
    signal = dict(ways).get("signal")
    if signal is not None and isinstance(data := signal.fields.get("data"), StructType):
        ways.append(("signal.data", data))
    near = [f"{name}.{word[0]}" for name, type_ in ways if word[0] in type_.fields]
    return f"; did you mean '{near[0]}'?" if near else ""


def _offset(source: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = source.find("\n", start) + 1
    return min(start + max(column - 1, 0), max(len(source) - 1, 0))


def _constant(program: Program, scope: Scope) -> str:
    """Return what is wrong with a condition that is the same whatever is seen, else nothing."""
    if not program.paths:
        return _SAYS[_evaluated(program)]
    value = always(program.source, scope.domain)
    if value is None or not scope.measured:
        return _SAYS[value]
    plain = always(program.source, Domain(scope.domain.constants))
    return _SAYS[value] if value is plain else f"{_SAYS[value]}, as {_REACH}"


def _evaluated(program: Program) -> bool | None:
    try:
        value = program.evaluate({})
    except EvaluationError:
        return None
    return value if isinstance(value, bool) else None
