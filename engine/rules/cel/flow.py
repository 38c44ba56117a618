"""What decides what is evaluated at all: `&&`, `||`, `? :`, the macros, cel.bind().

The code is that for a life without errors: the first one ends it. Where the expression has a
part that may absorb an error (`absorbing`), the careful code then evaluates it once more.
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
from engine.rules.cel.types import BOOL, DYN, STRING, ListType, OptionalType, Type, shape

FALLBACKS: Final = frozenset({"or", "orValue"})
"""Methods of an optional value whose argument is only evaluated where it is needed."""
_COUNTING: Final = frozenset({"exists_one", "existsOne"})
_Branch = tuple[list[ast.stmt], ast.expr]
_STEP_COST: Final = 2


def weigh(node: Node) -> int:
    """Return what one evaluation of `node`, without the macros in it, costs at most."""
    own = 1 + (len(node.value) >> 4 if isinstance(node, Literal) and node.type == STRING else 0)
    if isinstance(node, Loop):
        return own + weigh(node.over)
    return own + sum(weigh(below) for below in children(node))


def price(node: Loop) -> int:
    """Return what one element of a macro costs."""
    return _STEP_COST + weigh(node.each) + (weigh(node.where) if node.where else 0)


class Flow(Assembly):
    """Emits the nodes that decide what is evaluated at all."""

    @abstractmethod
    def run(self, node: Call, args: list[Code]) -> Code:
        """Return the code of a call with these arguments."""

    def choice(self, node: Choice) -> Code:
        """Evaluate one of two parts; as an expression, where both are one."""
        test = self.visit(node.test)
        decided = self.decided(test, node.test, "? :")
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
        if other.safe and not body and optional.sure == OptionalType():
            likely = OptionalType() if node.function == "or" else other.sure  # not looked at
            return self.run(node, [optional, Code(other.expr, sure=likely)])
        temp = self.temp()
        called = py.const(f"{node.function}()")
        test = py.call("present", py.keep(temp, optional.expr), called)
        self.mark(test, node)
        found = py.attribute(temp, "content") if node.function == "orValue" else py.name(temp)
        if not body:
            return Code(py.choose(test, found, other.expr))
        return self._branch(node, test, ([], found), (body, other.expr))

    def bind(self, node: Bind) -> Code:
        """Evaluate a value once, for its name."""
        body, value = self.part(node.value)
        self.absorbing = True
        for statement in (*body, py.assign(f"v{node.local}", value.expr)):
            self.add(statement, node.value)
        return self.visit(node.body)

    def logic(self, node: Logic) -> Code:
        """Join a chain by Python's own operator, which stops where the value is known."""
        parts = [self.part(part) for part in node.parts]
        safe = all(not body and code.safe and code.sure == BOOL for body, code in parts)
        self.absorbing |= not safe
        tests = [
            self.decided(code, part, node.sign)
            for (_, code), part in zip(parts, node.parts, strict=True)
        ]
        if not any(body for body, _ in parts):
            join = py.both if node.sign == "&&" else py.either
            return Code(join(*tests), sure=BOOL, safe=safe)
        result = self.temp()
        self.add(py.assign(result, py.const(node.sign == "&&")), node)
        for part, (body, _), test in zip(node.parts, parts, tests, strict=True):
            undecided = py.is_(py.name(result), py.const(node.sign == "&&"))
            self.add(py.when(undecided, [*body, py.assign(result, test)]), part)
        return Code(py.name(result), sure=BOOL, safe=True)

    def part(self, node: Node) -> tuple[list[ast.stmt], Code]:
        """Visit a node apart: its statements, and its value."""
        with self.block() as body:
            code = self.visit(node)
        return body, code

    def decided(self, code: Code, node: Node, where: str) -> ast.expr:
        """Return an expression that is true or false, or fails for what is no bool."""
        if code.sure == BOOL:
            return code.expr
        temp = self.temp()
        refused = py.call("no_bool", py.name(temp), py.const(where))
        test = py.either(
            py.is_(py.keep(temp, code.expr), py.true()),
            py.both(py.is_not(py.name(temp), py.false()), refused),
        )
        self.mark(test, node)
        return test

    # -- macros

    def loop(self, node: Loop) -> Code:
        """Walk over the elements; what each one adds is a statement."""
        result, walked = self.temp(), self.temp()
        elements = self.elements(node, walked)
        self.add(py.assign(result, _start(node)), node)
        with self.block() as body:
            self.add(self._pay(price(node)), node)
            self._step(node, result)
        self.add(py.walk([f"v{local}" for local in node.locals], elements, body), node)
        return self._outcome(node, result, walked)

    def elements(self, node: Loop, walked: str) -> ast.expr:
        """Return what `node` walks over; the list or map itself is kept in `walked`."""
        over = py.keep(walked, self.visit(node.over).expr)
        if node.macro in OF_OPTIONAL:
            return py.call("optional_elements", over, py.const(f"{node.macro}()"))
        return py.call("pairs" if len(node.locals) > 1 else "elements", self.meter(), over)

    def _outcome(self, node: Loop, result: str, walked: str) -> Code:
        found = py.name(result)
        if node.macro in {"all", "exists"}:
            return Code(found, sure=BOOL, safe=True)
        if node.macro in _COUNTING:
            return Code(py.compare(found, ast.Eq(), py.const(1)), sure=BOOL, safe=True)
        if node.macro == "sortBy":
            call = py.call("sorted_by", self.meter(), py.name(walked), found)
            return Code(call, sure=ListType())
        sure = shape(node.type) if node.macro != "optFlatMap" else DYN
        return Code(found, sure=sure, safe=True)

    def _step(self, node: Loop, result: str) -> None:
        """Let one element count. all and exists stop at the value that decides."""
        if node.macro in {"all", "exists"}:
            self._quantify(node, result)
            return
        where = node.each if node.macro in _COUNTING | {"filter"} else node.where
        if where is None:
            self._take(node, result)
            return
        decided = self.decided(self.visit(where), where, f"{node.macro}()")
        with self.block() as body:
            self._take(node, result)
        self.add(py.when(decided, body), where)

    def _quantify(self, node: Loop, result: str) -> None:
        self.absorbing = True
        decisive = node.macro == "exists"
        decided = self.decided(self.visit(node.each), node.each, f"{node.macro}()")
        stop = [py.assign(result, py.const(decisive)), ast.Break()]
        self.add(py.when(decided if decisive else py.not_(decided), stop), node.each)

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
