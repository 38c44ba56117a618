"""What needs statements: `&&`, `||`, `? :` and the macros.

`&&`, `||`, all and exists keep an error until they know whether it matters.
"""

import ast
from abc import abstractmethod
from typing import Final

from engine.rules.cel import python as py
from engine.rules.cel.assembly import Assembly, Code
from engine.rules.cel.inference import OF_OPTIONAL
from engine.rules.cel.syntax import (
    Bind,
    Call,
    Choice,
    Literal,
    Logic,
    Loop,
    Node,
    children,
)
from engine.rules.cel.types import BOOL, DYN, STRING, ListType, Type, shape

FALLBACKS: Final = frozenset({"or", "orValue"})
"""Methods of an optional value whose argument is only evaluated where it is needed."""
_COUNTING: Final = frozenset({"exists_one", "existsOne"})
_Branch = tuple[list[ast.stmt], ast.expr]
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

    @abstractmethod
    def run(self, node: Call, args: list[Code]) -> Code:
        """Return the code of a call with these arguments."""

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
        return self._branch(node, decided, (yes_body, yes.expr), (no_body, no.expr), sure)

    def _branch(
        self, node: Node, test: ast.expr, yes: _Branch, no: _Branch, sure: Type = DYN
    ) -> Code:
        temp = self.temp()
        bodies = [[*body, py.assign(temp, value)] for body, value in (yes, no)]
        self.add(py.when(test, *bodies), node)
        return Code(py.name(temp), sure=sure, safe=True)

    def fallback(self, node: Call, target: Node) -> Code:
        """Evaluate `target.orValue(other)`, or `or`; `other` only where it is needed."""
        optional = self.visit(target)
        with self.block() as body:
            other = self.visit(node.args[0])
        if other.safe and not body:
            return self.run(node, [optional, other])
        temp = self.temp()
        called = py.const(f"{node.function}()")
        test = py.call("present", py.keep(temp, optional.expr), called)
        self.mark(test, node)
        found = py.attribute(temp, "content") if node.function == "orValue" else py.name(temp)
        if not body:
            return Code(py.choose(test, found, other.expr))
        return self._branch(node, test, ([], found), (body, other.expr))

    def bind(self, node: Bind) -> Code:
        """Evaluate a value once; an error waits until its name is used."""
        body, value = self._part(node.value)
        self._attempt(node.value, f"v{node.local}", body, value)
        if body or not value.safe:
            self.doubtful.add(node.local)
        return self.visit(node.body)

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
        result, walked = self.temp(), self.temp()
        self.add(py.assign(result, _start(node)), node)
        with self.block() as body:
            cost = _STEP_COST + weigh(node.each) + (weigh(node.where) if node.where else 0)
            self.add(self._pay(cost), node)
            self._step(node, result)
        if node.macro in OF_OPTIONAL:
            elements = py.call("optional_elements", over.expr, py.const(f"{node.macro}()"))
        else:
            walk = "pairs" if len(node.locals) > 1 else "elements"
            elements = py.call(walk, self.meter(), py.keep(walked, over.expr))
        self.add(py.walk([f"v{local}" for local in node.locals], elements, body), node)
        return self._outcome(node, result, walked)

    def _outcome(self, node: Loop, result: str, walked: str) -> Code:
        found = py.name(result)
        if node.macro in {"all", "exists"}:
            self._settle(node, result, f"{node.macro}()")
            return Code(found, sure=BOOL, safe=True)
        if node.macro in _COUNTING:
            return Code(py.compare(found, ast.Eq(), py.const(1)), sure=BOOL, safe=True)
        if node.macro == "sortBy":
            call = py.call("sorted_by", self.meter(), py.name(walked), found)
            return Code(call, sure=ListType())
        sure = shape(node.type) if node.macro != "optFlatMap" else DYN
        return Code(found, sure=sure, safe=True)

    def _step(self, node: Loop, result: str) -> None:
        """One element. all and exists stop at the value that decides; errors wait for it."""
        if node.macro in {"all", "exists"}:
            self._quantify(node, result)
            return
        where = node.each if node.macro in _COUNTING | {"filter"} else node.where
        if where is None:
            self._take(node, result)
            return
        code = self.visit(where)
        decided = code.expr
        if code.sure != BOOL:
            decided = py.call("condition", code.expr, py.const(f"{node.macro}()"))
        with self.block() as body:
            self._take(node, result)
        self.add(py.when(decided, body), where)

    def _quantify(self, node: Loop, result: str) -> None:
        decisive = node.macro == "exists"
        temp = self.temp()
        self._attempt(node.each, temp, *self._part(node.each))
        take = py.assign(result, py.name(temp))
        stop = py.when(py.is_(py.name(temp), py.const(decisive)), [take, ast.Break()])
        self.add(stop, node)
        unsure = py.is_not(py.name(temp), py.const(not decisive))
        again = [py.assign(result, py.name(temp)), self._pay(_ERROR_COST)]
        self.add(py.when(unsure, again), node)

    def _take(self, node: Loop, result: str) -> None:
        """Let an element that counts have its effect on the result."""
        key = py.name(f"v{node.locals[0]}")
        if node.macro in _COUNTING:
            more = ast.Name(id=result, ctx=ast.Store())
            self.add(ast.AugAssign(target=more, op=ast.Add(), value=py.const(1)), node)
        elif node.macro == "filter":
            self.add(_append(result, key), node)
        else:
            self.add(self._taken(node.macro, result, key, self.visit(node.each).expr), node.each)

    def _taken(self, macro: str, result: str, key: ast.expr, value: ast.expr) -> ast.stmt:
        if macro == "transformMap":
            slot = ast.Subscript(value=py.name(result), slice=key, ctx=ast.Store())
            return ast.Assign(targets=[slot], value=value)
        if macro == "transformMapEntry":
            return py.do(py.call("merge", self.meter(), py.name(result), value))
        if macro == "optMap":
            return py.assign(result, py.call("Optional", value))
        if macro == "optFlatMap":
            return py.assign(result, value)
        return _append(result, value)

    def _pay(self, cost: int) -> ast.stmt:
        spend = ast.Attribute(value=self.meter(), attr="spend", ctx=ast.Load())
        return py.do(ast.Call(func=spend, args=[py.const(cost)], keywords=[]))


def _start(node: Loop) -> ast.expr:
    """Return what a macro gives for no elements."""
    if node.macro in OF_OPTIONAL:
        return py.name("NONE")
    starts: dict[str, ast.expr] = {
        "all": py.true(),
        "exists": py.false(),
        "exists_one": py.const(0),
        "existsOne": py.const(0),
        "transformMap": ast.Dict(keys=[], values=[]),
        "transformMapEntry": ast.Dict(keys=[], values=[]),
    }
    return starts.get(node.macro, ast.List(elts=[], ctx=ast.Load()))


def _append(result: str, value: ast.expr) -> ast.stmt:
    return py.do(ast.Call(func=py.attribute(result, "append"), args=[value], keywords=[]))


def _take_in(temp: str, result: str, other: object, *, first: bool) -> ast.stmt:
    """Let an operand count: a decisive one always, an error where there was none before."""
    matters = py.is_not(py.name(temp), py.const(other))
    if not first:
        wins = py.either(
            py.is_(py.name(result), py.const(other)), py.is_(py.name(temp), py.const(not other))
        )
        matters = py.both(matters, wins)
    return py.when(matters, [py.assign(result, py.name(temp))])
