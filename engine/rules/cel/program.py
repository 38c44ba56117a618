"""compile(): source -> Program."""

from collections.abc import Mapping
from typing import Any

from engine.rules.cel.assembly import Compiled
from engine.rules.cel.careful import emit
from engine.rules.cel.check import check
from engine.rules.cel.guards import Guard, guards, paths
from engine.rules.cel.parser import parse
from engine.rules.cel.syntax import Node
from engine.rules.cel.types import Type


class Program:
    """A compiled expression; immutable, and safe to use from many threads.

    Two programs with the same source and schema are equal. A copy shares the code; a pickle
    holds source and schema and compiles again. All that can be wrong with the source is found
    when the program is made; its code is written when it is first asked for, as most of the
    rules that are loaded never meet a signal of theirs.

    Attributes:
        source: the text.
        type: the type of the result, dyn when the schema does not tell.
        function: the compiled code, which is what `evaluate` calls; call it directly where a
            Python call less matters.
        guards: conditions that hold whenever the result is true, for an index.
        paths: the paths that the expression reads, such as ("signal", "data", "restarts"); a
            path ends where something else than a field is looked up.
    """

    __slots__ = ("_schema", "function", "guards", "paths", "source", "type")

    source: str
    type: Type
    function: Compiled
    guards: tuple[Guard, ...]
    paths: frozenset[tuple[str, ...]]

    def __init__(self, source: str, schema: Mapping[str, Type] | None = None) -> None:
        """Compile `source`; see `compile`."""
        self._schema = schema
        self.source = source
        tree = self._tree()
        self.type = tree.type
        self.guards = guards(tree)
        self.paths = paths(tree)

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """Return the value for `bindings`, as Python has it.

        Args:
            bindings: a value for each variable: int, float, bool, str, bytes, None, aware
                datetime, timedelta, and lists and mappings of them. They are not changed; the
                result may share parts with them.

        Returns:
            The value; a uint comes as int, a type as its name.

        Raises:
            EvaluationError: the expression has no value; see its `code`.
        """
        return self.function(bindings)

    def __getattr__(self, name: str) -> Any:
        """Write the code on first use; no tree waits for it, as reading again costs less."""
        if name != "function":  # what is no slot, or not set yet, is not there
            raise AttributeError(name)
        self.function = emit(self._tree)
        return self.function

    def _tree(self) -> Node:
        return check(parse(self.source), self._schema)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return self.source == other.source and self._schema == other._schema

    def __hash__(self) -> int:
        return hash(self.source)

    def __copy__(self) -> "Program":
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> "Program":
        return self

    def __reduce__(self) -> tuple[Any, tuple[str, Mapping[str, Type] | None]]:
        return Program, (self.source, self._schema)

    def __repr__(self) -> str:
        return f"Program({self.source!r})"


def compile(source: str, *, schema: Mapping[str, Type] | None = None) -> Program:  # noqa: A001 (the entry point named in the specification)
    """Compile a CEL expression.

    Args:
        source: the expression, at most MAX_SOURCE characters.
        schema: the variables and their types (`engine.rules.cel.types`): any other name is
            refused. None leaves all names dynamic, to be found in the bindings.

    Raises:
        CelError: `source` is no CEL, or can only fail, or is nested too deep; with the place.
    """
    return Program(source, schema)
