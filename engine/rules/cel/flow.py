"""What needs statements: `&&`, `||`, `? :` and the macros.

`&&`, `||`, all and exists keep an error until they know whether it matters.
"""

import ast
from collections.abc import Callable
from typing import Final

from engine.rules.cel import python as py
from engine.rules.cel.assembly import Assembly, Code
from engine.rules.cel.syntax import Choice, Ident, Literal, Logic, Loop, Node, children
from engine.rules.cel.types import BOOL, DYN, STRING, ListType

MAX_BLOCKS: Final = 12
"""Loops and tries in one another within a function; Python allows 20."""
_STEP_COST: Final = 2
_ERROR_COST: Final = 100


def weigh(node: Node) -> int:
    """Return what one evaluation of `node`, without the macros in it, costs at most."""
    own = 1 + (len(node.value) >> 4 if isinstance(node, Literal) and node.type == STRING else 0)
    if isinstance(node, Loop):
        return own + weigh(node.over)
    return own + sum(weigh(below) for below in children(node))


class Flow(Assembly):
    """Emits the nodes that decide what is evaluated at all."""

    def choice(self, node: Choice) -> Code:
        """Evaluate one of two parts; as an expression, where both are one."""
        test = self.visit(node.test)
        decided = test.expr
        if test.sure != BOOL:
            decided = py.call("condition", test.expr, py.const("? :"))
            self.mark(decided, node)
        with self.block() as yes_body:
            yes = self.visit(node.yes)
        with self.block() as no_body:
            no = self.visit(node.no)
        sure = yes.sure if yes.sure == no.sure else DYN
        if not yes_body and not no_body:
            safe = test.safe and test.sure == BOOL and yes.safe and no.safe
            return Code(py.choose(decided, yes.expr, no.expr), sure=sure, safe=safe)
        temp = self.temp()
        yes_body.append(py.assign(temp, yes.expr))
        no_body.append(py.assign(temp, no.expr))
        self.add(py.when(decided, yes_body, no_body), node)
        return Code(py.name(temp), sure=sure, safe=True)

    def blocks_of(self, node: Logic | Loop) -> Code:
        """Emit tries and loops; those too deep in others go to a function of their own."""
        if self.blocks < MAX_BLOCKS:
            self.blocks += 2
            code = self._logic(node) if isinstance(node, Logic) else self._loop(node)
            self.blocks -= 2
            return code
        outer, self.blocks = self.blocks, 1
        with self.block() as body:
            code = self.blocks_of(node)
            self.add(ast.Return(value=code.expr), node)
        self.blocks = outer
        name = f"f{self.temp()}"
        self.add(py.function(name, [], body), node)
        return Code(py.call(name), sure=code.sure)

    def _logic(self, node: Logic) -> Code:
        """Settle a chain: one `decisive` value ends it, an error waits whether one follows.

        Where no part can fail or be anything but a bool, Python's own operator does.
        """
        result = self.temp()
        parts = [self._part(part) for part in node.parts]
        if all(not body and code.safe and code.sure == BOOL for body, code in parts):
            join = py.both if node.sign == "&&" else py.either
            return Code(join(*(code.expr for _, code in parts)), sure=BOOL, safe=True)
        decisive, other = node.sign == "||", node.sign == "&&"
        self.add(py.assign(result, py.const(other)), node)
        for number, (part, (body, code)) in enumerate(zip(node.parts, parts, strict=True)):
            temp = self.temp()
            with self.block() as operand:
                self._attempt(part, temp, body, code)
                self.add(_take_in(temp, result, other, first=number == 0), part)
            if number:
                undecided = py.is_not(py.name(result), py.const(decisive))
                operand = [py.when(undecided, operand)]
            for statement in operand:
                self.add(statement, part)
        self._settle(node, result, node.sign)
        return Code(py.name(result), sure=BOOL, safe=True)

    def _part(self, part: Node) -> tuple[list[ast.stmt], Code]:
        """Visit a node apart: its statements, and its value."""
        with self.block() as body:
            code = self.visit(part)
        return body, code

    def _attempt(self, part: Node, temp: str, body: list[ast.stmt], code: Code) -> None:
        """Set `temp` to the value of `part`, or to the error that it ended with."""
        with self.block() as whole:
            whole.extend(body)
            self.add(py.assign(temp, code.expr), part)
        if code.safe and not body:
            self.body.extend(whole)
            return
        kept = py.assign(temp, py.call("blame", py.name("error"), py.name("PLACES")))
        self.add(py.attempt(whole, "FAILURES", "error", [kept]), part)

    def _settle(self, node: Node, result: str, sign: str) -> None:
        unsettled = py.both(
            py.is_not(py.name(result), py.true()), py.is_not(py.name(result), py.false())
        )
        call = py.call("unsettled", py.name(result), py.const(sign))
        self.add(py.when(unsettled, [ast.Expr(value=call)]), node)

    # -- macros

    def _loop(self, node: Loop) -> Code:
        over = self.visit(node.over)
        result = self.temp()
        start: dict[str, ast.expr] = {
            "all": py.true(),
            "exists": py.false(),
            "exists_one": py.const(0),
        }
        initial = start.get(node.macro, ast.List(elts=[], ctx=ast.Load()))
        self.add(py.assign(result, initial), node)
        with self.block() as body:
            cost = _STEP_COST + weigh(node.each) + (weigh(node.where) if node.where else 0)
            spend = ast.Attribute(value=self.meter(), attr="spend", ctx=ast.Load())
            paid = ast.Call(func=spend, args=[py.const(cost)], keywords=[])
            self.add(ast.Expr(value=paid), node)
            self._step(node, result)
        elements = py.call("elements", self.meter(), over.expr)
        self.add(py.walk(f"v{node.local}", elements, body), node)
        return self._outcome(node, result)

    def _outcome(self, node: Loop, result: str) -> Code:
        if node.macro in {"all", "exists"}:
            self._settle(node, result, f"{node.macro}()")
            return Code(py.name(result), sure=BOOL, safe=True)
        if node.macro == "exists_one":
            one = py.compare(py.name(result), ast.Eq(), py.const(1))
            return Code(one, sure=BOOL, safe=True)
        return Code(py.name(result), sure=ListType(), safe=True)

    def _step(self, node: Loop, result: str) -> None:
        """One element. all and exists stop at the value that decides; errors wait for it."""
        if node.macro in {"all", "exists"}:
            decisive = node.macro == "exists"
            temp = self.temp()
            self._attempt(node.each, temp, *self._part(node.each))
            take: list[ast.stmt] = [py.assign(result, py.name(temp))]
            stop = py.when(py.is_(py.name(temp), py.const(decisive)), [*take, ast.Break()])
            self.add(stop, node)
            unsure = py.is_not(py.name(temp), py.const(not decisive))
            again: list[ast.stmt] = [py.assign(result, py.name(temp)), self._pay_for_error()]
            self.add(py.when(unsure, again), node)
            return
        if node.macro == "map":
            self._guarded(node.where, node, lambda: self._append(result, node.each))
        elif node.macro == "filter":
            variable = Ident(
                line=node.line, column=node.column, name=node.variable, local=node.local
            )
            self._guarded(node.each, node, lambda: self._append(result, variable))
        else:
            one = ast.AugAssign(
                target=ast.Name(id=result, ctx=ast.Store()), op=ast.Add(), value=py.const(1)
            )
            self._guarded(node.each, node, lambda: self.add(one, node))

    def _pay_for_error(self) -> ast.stmt:
        spend = ast.Attribute(value=self.meter(), attr="spend", ctx=ast.Load())
        return ast.Expr(value=ast.Call(func=spend, args=[py.const(_ERROR_COST)], keywords=[]))

    def _guarded(self, test: Node | None, node: Loop, act: Callable[[], None]) -> None:
        if test is None:
            act()
            return
        code = self.visit(test)
        decided = code.expr
        if code.sure != BOOL:
            decided = py.call("condition", code.expr, py.const(f"{node.macro}()"))
        with self.block() as body:
            act()
        self.add(py.when(decided, body), test)

    def _append(self, result: str, node: Node) -> None:
        code = self.visit(node)
        append = ast.Attribute(value=py.name(result), attr="append", ctx=ast.Load())
        self.add(ast.Expr(value=ast.Call(func=append, args=[code.expr], keywords=[])), node)


def _take_in(temp: str, result: str, other: object, *, first: bool) -> ast.stmt:
    """Let an operand count: a decisive one always, an error where there was none before."""
    matters = py.is_not(py.name(temp), py.const(other))
    if not first:
        wins = py.either(
            py.is_(py.name(result), py.const(other)), py.is_(py.name(temp), py.const(not other))
        )
        matters = py.both(matters, wins)
    return py.when(matters, [py.assign(result, py.name(temp))])
