"""The code that absorbs errors: it runs where the plain code of an expression ended with one.

In `&&`, `||`, all() and exists() an error counts only where no other part settles the matter, and
what cel.bind() names only where the name is used. Each part becomes a function of its own here,
which the runtime calls.
"""

import ast
from collections.abc import Callable
from typing import Final

from engine.rules.cel import python as py
from engine.rules.cel.assembly import Code, Compiled
from engine.rules.cel.emit import Emitter
from engine.rules.cel.flow import price
from engine.rules.cel.runtime import Retry
from engine.rules.cel.syntax import Bind, Logic, Loop, Node
from engine.rules.cel.types import BOOL

_ERROR_COST: Final = 100
_PLACES: Final = "PLACES"


def emit(tree: Callable[[], Node]) -> Compiled:
    """Return the function of a checked tree: it takes the bindings and returns the value.

    It raises EvaluationError, and nothing else.

    Args:
        tree: gives the tree; it is asked now, and again when the careful code is needed, so that
            nobody has to keep it.
    """
    retry = Retry(lambda: _CarefulEmitter().emit(tree()).careful())
    return Emitter().emit(tree()).function(retry)


class _CarefulEmitter(Emitter):
    """Emits what may absorb an error as calls of the runtime; all else as `Emitter` does."""

    def logic(self, node: Logic) -> Code:
        """Let the runtime ask the parts in their order."""
        parts = [self._apart(part, node.sign) for part in node.parts]
        decisive = py.const(node.sign == "||")
        return Code(py.call("chain", decisive, py.name(_PLACES), *parts), sure=BOOL)

    def loop(self, node: Loop) -> Code:
        """Let the runtime walk over the elements where an error of one may not count."""
        if node.macro not in {"all", "exists"}:
            return super().loop(node)
        rows = self.elements(node, self.temp())
        if len(node.locals) == 1:
            rows = py.call("zip", rows)
        each = self._apart(node.each, f"{node.macro}()", [f"v{local}" for local in node.locals])
        decisive = py.const(node.macro == "exists")
        cost = py.const(price(node) + _ERROR_COST)
        found = py.call("quantify", decisive, py.name(_PLACES), self.meter(), cost, rows, each)
        return Code(found, sure=BOOL)

    def bind(self, node: Bind) -> Code:
        """Keep the error of the value until its name is used."""
        value = py.call("attempt", py.name(_PLACES), self._apart(node.value))
        self.add(py.assign(f"v{node.local}", value), node.value)
        self.doubtful.add(node.local)
        return self.visit(node.body)

    def _apart(self, node: Node, where: str = "", params: list[str] | None = None) -> ast.expr:
        """Return a function that evaluates `node`; with `where`, to a bool or an error."""
        with self.block() as body:
            code = self.visit(node)
            value = self.decided(code, node, where) if where else code.expr
        if not body:
            return py.lambda_(params or [], value)
        name = f"f{self.temp()}"
        body.append(ast.Return(value=value))
        self.add(py.function(name, params or [], body), node)
        return py.name(name)
