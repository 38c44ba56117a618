"""A function under construction: its statements, constants, and the places of its nodes."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final, cast

from engine.rules.cel import python as py
from engine.rules.cel.meter import Meter
from engine.rules.cel.runtime import FILENAME, HELPERS, Place
from engine.rules.cel.syntax import Ident, Index, Literal, Node, Select
from engine.rules.cel.types import DYN, Type

Compiled = Callable[[Mapping[str, Any]], Any]
Careful = Callable[[Mapping[str, Any], Meter | None], Any]
WRITABLE: Final = frozenset({int, float, str, bytes, bool, type(None)})
"""What can stand in a Python syntax tree; other constants get a name."""


@dataclass(frozen=True)
class Code:
    """An expression that gives the value of a node.

    `sure` is the type that the value has for certain, whatever the bindings hold (dyn: none);
    `safe` says that it can not fail.
    """

    expr: ast.expr
    sure: Type = DYN
    safe: bool = False


@dataclass
class Assembly(ABC):
    """The function under construction."""

    body: list[ast.stmt] = field(default_factory=list)
    places: list[Place] = field(default_factory=lambda: [Place(0, 0, "")])
    constants: dict[str, Any] = field(default_factory=dict)
    counter: int = 0
    metered: bool = False
    absorbing: bool = False
    """Whether a part may absorb an error of another one."""
    doubtful: set[int] = field(default_factory=set)
    """The variables that may hold an error instead of a value."""

    @abstractmethod
    def visit(self, node: Node) -> Code:
        """Return the code of `node`; its statements go to the body."""

    def function(self, retry: Callable[..., Any]) -> Compiled:
        """Compile what was collected; where a part may absorb an error, `retry` then evaluates."""
        if self.absorbing:
            caught = py.do(py.call("unless_spent", py.name("error"), py.name("PLACES")))
            meter = py.name("meter") if self.metered else py.const(None)
            last = [ast.Return(value=py.call("retry", py.name("bindings"), meter))]
        else:
            caught, last = self._blamed(), []
        body = [py.attempt(self.body, "FAILURES", "error", [caught]), *last]
        if self.metered:
            body.insert(0, py.assign("meter", py.call("Meter")))
        return cast("Compiled", self._made(["bindings"], body, retry=retry))

    def careful(self) -> Careful:
        """Compile what was collected as the code that knows what to do with errors."""
        body = [py.attempt(self.body, "FAILURES", "error", [self._blamed()])]
        if self.metered:
            kept = py.either(py.name("meter"), py.call("Meter"))
            body.insert(0, py.assign("meter", kept))
        return cast("Careful", self._made(["bindings", "meter"], body))

    def _blamed(self) -> ast.stmt:
        return py.fail(py.call("blame", py.name("error"), py.name("PLACES")))

    def _made(self, params: list[str], body: list[ast.stmt], **names: Any) -> Any:
        module = ast.Module(body=[py.function("program", params, body)], type_ignores=[])
        py.place(module, 0)
        code = compile(module, FILENAME, "exec")
        known = {**HELPERS, **self.constants, **names, "PLACES": tuple(self.places)}
        space = {name: known[name] for name in _names(code) if name in known}
        space["__builtins__"] = {}
        exec(code, space)  # noqa: S102 (a tree of ours, not text)
        return space["program"]

    def temp(self) -> str:
        """Return a fresh name."""
        self.counter += 1
        return f"t{self.counter}"

    def constant(self, value: Any) -> ast.expr:
        """Return what stands for a constant."""
        if type(value) in WRITABLE:
            return py.const(value)
        self.counter += 1
        self.constants[f"k{self.counter}"] = value
        return py.name(f"k{self.counter}")

    def meter(self) -> ast.expr:
        """Return the meter; programs that never ask for one make none."""
        self.metered = True
        return py.name("meter")

    def mark(self, tree: ast.AST, node: Node) -> None:
        """Say of which node `tree` is, so far as no part of it says otherwise."""
        self.places.append(Place(node.line, node.column, describe(node)))
        py.place(tree, len(self.places) - 1)

    def add(self, statement: ast.stmt, node: Node) -> None:
        """Append a statement of `node`."""
        self.mark(statement, node)
        self.body.append(statement)

    @contextmanager
    def block(self) -> Iterator[list[ast.stmt]]:
        """Collect the statements of a block instead of adding them."""
        outer, self.body = self.body, []
        try:
            yield self.body
        finally:
            self.body = outer


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that the code looks up: a program keeps no others."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def describe(node: Node) -> str:
    """Return how a message calls the value of `node`: its path, so far as it has one."""
    match node:
        case Ident():
            return node.name
        case Select():
            below = describe(node.operand)
            return f"{below}.{node.field}" if below else node.field
        case Index(key=Literal(value=key)):
            return f"{describe(node.operand)}[{key!r}]"
        case _:
            return ""
