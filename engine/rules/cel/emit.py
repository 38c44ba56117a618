"""Syntax tree -> Python function, by way of a Python syntax tree and never of text.

Selections become plain subscriptions; all else calls the functions of CEL. The line numbers of
the Python tree are numbers of CEL nodes: so a failure finds its place in the source without any
cost before it happens.

`&&`, `||` and the macros all and exists keep an error until they know whether it matters.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

from engine.rules.cel import python as py
from engine.rules.cel import relations, strings
from engine.rules.cel.functions import CALLS, FUNCTIONS
from engine.rules.cel.numbers import Uint
from engine.rules.cel.runtime import FILENAME, HELPERS, Place
from engine.rules.cel.syntax import (
    Call,
    Choice,
    Ident,
    Index,
    ListOf,
    Literal,
    Logic,
    Loop,
    MapOf,
    Node,
    Select,
    children,
)
from engine.rules.cel.types import BOOL, DOUBLE, DYN, INT, NUMBERS, STRING, ListType, MapType, Type

Compiled = Callable[[Mapping[str, Any]], Any]
MAX_BLOCKS: Final = 12
"""Loops and tries in one another within a function; Python allows 20."""

_WRITABLE: Final = frozenset({int, float, str, bytes, bool, type(None)})


@dataclass(frozen=True)
class Code:
    """An expression that gives the value of a node.

    `sure` is the type that the value has for certain, whatever the bindings hold (dyn: none);
    `safe` says that it can not fail.
    """

    expr: ast.expr
    sure: Type = DYN
    safe: bool = False


def emit(root: Node) -> Compiled:
    """Return the function of a checked tree: it takes the bindings and returns the value.

    It raises EvaluationError, and nothing else.
    """
    emitter = _Emitter()
    return emitter.compile(root)


def weigh(node: Node) -> int:
    """Return what one evaluation of `node`, without the macros in it, costs at most."""
    own = 1 + (len(node.value) >> 6 if isinstance(node, Literal) and node.type == STRING else 0)
    if isinstance(node, Loop):
        return own + weigh(node.over)
    return own + sum(weigh(below) for below in children(node))


@dataclass
class _Emitter:
    """The function under construction."""

    body: list[ast.stmt] = field(default_factory=list)
    places: list[Place] = field(default_factory=lambda: [Place(0, 0, "")])
    constants: dict[str, Any] = field(default_factory=dict)
    counter: int = 0
    blocks: int = 1

    # -- the whole

    def compile(self, root: Node) -> Compiled:
        code = self.visit(root)
        result = code.expr
        if code.sure in {DYN} or not _is_scalar(code.sure):
            temp = self.temp()
            test = py.compare(py.call("type", py.keep(temp, result)), ast.In(), py.name("SCALARS"))
            result = py.choose(test, py.name(temp), py.call("plain", py.name(temp)))
        self.add(ast.Return(value=result), root)
        return self.function()

    def function(self) -> Compiled:
        raised = py.fail(py.call("blame", py.name("error"), py.name("PLACES")))
        body: list[ast.stmt] = [py.attempt(self.body, "FAILURES", "error", [raised])]
        if any(isinstance(n, ast.Name) and n.id == "meter" for s in self.body for n in ast.walk(s)):
            body.insert(0, py.assign("meter", py.call("Meter")))
        module = ast.Module(body=[py.function("program", ["bindings"], body)], type_ignores=[])
        py.place(module, 0)
        space = {**HELPERS, **self.constants, "PLACES": tuple(self.places), "__builtins__": {}}
        exec(compile(module, FILENAME, "exec"), space)  # noqa: S102 (a tree of ours, not text)
        return cast("Compiled", space["program"])

    def temp(self) -> str:
        self.counter += 1
        return f"t{self.counter}"

    def constant(self, value: Any) -> ast.expr:
        if type(value) in _WRITABLE:
            return py.const(value)
        self.counter += 1
        self.constants[f"k{self.counter}"] = value
        return py.name(f"k{self.counter}")

    def mark(self, tree: ast.AST, node: Node) -> None:
        """Say of which node `tree` is, so far as no part of it says otherwise."""
        self.places.append(Place(node.line, node.column, describe(node)))
        py.place(tree, len(self.places) - 1)

    def add(self, statement: ast.stmt, node: Node) -> None:
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

    # -- nodes

    def visit(self, node: Node) -> Code:
        match node:
            case Literal():
                return Code(self.constant(node.value), sure=node.type, safe=True)
            case Ident():
                code = self._ident(node)
            case Select() | Index():
                code = self._access(node)
            case Call():
                code = self._call(node)
            case Logic() | Loop():
                code = self._blocks(node)
            case _:
                code = self._structure(node)
        self.mark(code.expr, node)
        return code

    def _structure(self, node: Node) -> Code:
        if isinstance(node, Choice):
            return self._choice(node)
        if isinstance(node, ListOf):
            items = [self.visit(item).expr for item in node.items]
            return Code(ast.List(elts=items, ctx=ast.Load()), sure=ListType())
        if isinstance(node, MapOf):
            parts = [self.visit(part).expr for part in children(node)]
            return Code(py.call("make_map", py.name("meter"), *parts), sure=MapType())
        raise AssertionError(f"the parser makes no {type(node).__name__}")

    def _ident(self, node: Ident) -> Code:
        if node.local:
            return Code(py.name(f"v{node.local}"), safe=True)
        return Code(py.item(py.name("bindings"), node.name))

    def _access(self, node: Select | Index) -> Code:
        operand = self.visit(node.operand)
        if isinstance(node, Select):
            return self._presence(node, operand) if node.test else _subscript(operand, node.field)
        if isinstance(node.key, Literal) and isinstance(node.key.value, str):
            return _subscript(operand, node.key.value)
        key = self.visit(node.key)
        return Code(py.call("index", py.name("meter"), operand.expr, key.expr))

    def _presence(self, node: Select, operand: Code) -> Code:
        temp = self.temp()
        test = py.is_(py.call("type", py.keep(temp, operand.expr)), py.name("dict"))
        fast = py.compare(py.const(node.field), ast.In(), py.name(temp))
        slow = py.call("has_field", py.name(temp), py.const(node.field))
        return Code(py.choose(test, fast, slow), sure=BOOL)

    # -- operators and functions

    def _call(self, node: Call) -> Code:
        if node.function in relations.FUNCTION:
            return self._relation(node.function, *node.args)
        if node.function == "!_":
            operand = self.visit(node.args[0])
            if operand.sure == BOOL:
                return Code(py.not_(operand.expr), sure=BOOL, safe=operand.safe)
            return Code(py.call("negate", operand.expr), sure=BOOL)
        if node.function == "matches" and isinstance(node.args[-1], Literal):
            return self._pattern(node)
        return self._function(node)

    def _function(self, node: Call) -> Code:
        args = [self._argument(arg) for arg in children(node)]
        run, sure = CALLS[node.function, node.target is not None], DYN
        kinds = tuple(arg.sure for arg in args)
        overloads = FUNCTIONS[node.function, node.target is not None]
        for overload in overloads:
            if overload.params == kinds:
                run, sure = overload.run, overload.result
        if len({overload.result for overload in overloads}) == 1:
            sure = overloads[0].result
        function = cast("ast.Name", self.constant(run)).id
        return Code(py.call(function, py.name("meter"), *(arg.expr for arg in args)), sure=sure)

    def _argument(self, node: Node) -> Code:
        """Visit an argument; what the schema calls a double may be written `5` in JSON."""
        code = self.visit(node)
        if node.type == DOUBLE and code.sure == DYN:
            return Code(py.call("real", code.expr))
        return code

    def _pattern(self, node: Call) -> Code:
        """A literal pattern is compiled once; anything but a plain string takes the slow way."""
        text, literal = self.visit(children(node)[0]), cast("Literal", node.args[-1])
        compiled = self.constant(strings.pattern(literal.value))
        run = cast("ast.Name", self.constant(CALLS["matches", True])).id
        temp = self.temp()
        test = py.is_(py.call("type", py.keep(temp, text.expr)), py.name("str"))
        fast = py.call("found", py.name("meter"), py.name(temp), compiled)
        slow = py.call(run, py.name("meter"), py.name(temp), py.const(literal.value))
        return Code(py.choose(test, fast, slow), sure=BOOL)

    def _relation(self, sign: str, left: Node, right: Node) -> Code:
        if isinstance(left, Literal) and sign in relations.MIRROR:
            left, right, sign = right, left, relations.MIRROR[sign]
        operand = self.visit(left)
        simple = not isinstance(left, Literal | ListOf | MapOf)
        if simple and isinstance(right, Literal) and type(right.value) in _WRITABLE | {Uint}:
            found = self._with_literal(sign, operand, right)
            if found is not None:
                return found
        if simple and sign == "in" and _all_strings(right):
            texts = [cast("Literal", item).value for item in children(right)]
            return Code(relations.membership(operand.expr, texts), sure=BOOL, safe=operand.safe)
        other = self.visit(right)
        if sign in relations.MIRROR and {operand.sure, other.sure} <= NUMBERS:
            expr = py.compare(operand.expr, relations.PYTHON[sign](), other.expr)
            return Code(expr, sure=BOOL, safe=operand.safe and other.safe)
        function = relations.FUNCTION[sign]
        return Code(py.call(function, py.name("meter"), operand.expr, other.expr), sure=BOOL)

    def _with_literal(self, sign: str, operand: Code, literal: Literal) -> Code | None:
        """Return a comparison with a literal as Python's own, where it has the same meaning."""
        if sign in {"==", "!="}:
            expr = relations.equality(sign, operand.expr, literal.value, self.temp())
            return Code(expr, sure=BOOL, safe=operand.safe)
        if sign == "in" or literal.type not in NUMBERS | {STRING}:
            return None
        if operand.sure == literal.type == INT:
            expr = py.compare(operand.expr, relations.PYTHON[sign](), py.const(literal.value))
            return Code(expr, sure=BOOL, safe=operand.safe)
        return Code(relations.order(sign, operand.expr, literal.value, self.temp()), sure=BOOL)

    def _choice(self, node: Choice) -> Code:
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

    # -- what needs statements

    def _blocks(self, node: Logic | Loop) -> Code:
        if self.blocks < MAX_BLOCKS:
            self.blocks += 2
            code = self._logic(node) if isinstance(node, Logic) else self._loop(node)
            self.blocks -= 2
            return code
        outer, self.blocks = self.blocks, 1
        with self.block() as body:
            code = self._blocks(node)
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
            py.is_not(py.name(result), py.const(True)), py.is_not(py.name(result), py.const(False))
        )
        call = py.call("unsettled", py.name(result), py.const(sign))
        self.add(py.when(unsettled, [ast.Expr(value=call)]), node)

    # -- macros

    def _loop(self, node: Loop) -> Code:
        over = self.visit(node.over)
        result = self.temp()
        start: dict[str, ast.expr] = {
            "all": py.const(True),
            "exists": py.const(False),
            "exists_one": py.const(0),
        }
        initial = start.get(node.macro, ast.List(elts=[], ctx=ast.Load()))
        self.add(py.assign(result, initial), node)
        with self.block() as body:
            cost = weigh(node.each) + (weigh(node.where) if node.where else 0)
            spend = ast.Attribute(value=py.name("meter"), attr="spend", ctx=ast.Load())
            paid = ast.Call(func=spend, args=[py.const(cost)], keywords=[])
            self.add(ast.Expr(value=paid), node)
            self._step(node, result)
        elements = py.call("elements", py.name("meter"), over.expr)
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
        spend = ast.Attribute(value=py.name("meter"), attr="spend", ctx=ast.Load())
        return ast.Expr(value=ast.Call(func=spend, args=[py.const(20)], keywords=[]))

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


def _subscript(operand: Code, key: str) -> Code:
    """A literal or an operator can be no map; Python would warn of the subscription."""
    if isinstance(operand.expr, ast.Name | ast.Subscript):
        return Code(py.item(operand.expr, key))
    return Code(py.call("select", operand.expr, py.const(key)))


def _all_strings(node: Node) -> bool:
    items = children(node)
    return isinstance(node, ListOf) and all(
        isinstance(item, Literal) and item.type == STRING for item in items
    )


def _is_scalar(of: Type) -> bool:
    return of in {BOOL, INT, DOUBLE, STRING}
