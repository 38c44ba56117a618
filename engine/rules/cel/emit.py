"""Syntax tree -> Python function, by way of a Python syntax tree and never of text.

Selections become plain subscriptions; all else calls the functions of CEL. The line numbers of
the Python tree are numbers of CEL nodes: so a failure finds its place in the source without any
cost before it happens.
"""

import ast
from dataclasses import dataclass
from typing import Final, Self, cast

from engine.rules.cel import python as py
from engine.rules.cel import regexes, relations
from engine.rules.cel.assembly import WRITABLE, Code
from engine.rules.cel.flow import FALLBACKS, Flow
from engine.rules.cel.functions import CALLS, FUNCTIONS
from engine.rules.cel.guards import path_of
from engine.rules.cel.numbers import Uint
from engine.rules.cel.syntax import (
    Bind,
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
from engine.rules.cel.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NUMBERS,
    STRING,
    ListType,
    MapType,
    OptionalType,
    Type,
)

_SCALARS: Final = frozenset({BOOL, INT, DOUBLE, STRING})


@dataclass
class Emitter(Flow):
    """Emits what is an expression; `Flow` does the rest."""

    def emit(self, root: Node) -> Self:
        """Add the code that returns the value of `root`."""
        code = self.visit(root)
        result = code.expr
        if code.sure not in _SCALARS and path_of(root) is None:  # what comes from outside stays
            temp = self.temp()
            test = py.compare(py.call("type", py.keep(temp, result)), ast.In(), py.name("SCALARS"))
            result = py.choose(test, py.name(temp), py.call("plain", py.name(temp)))
        self.add(ast.Return(value=result), root)
        return self

    def visit(self, node: Node) -> Code:
        """Return the code of `node`."""
        match node:
            case Literal():
                return Code(self.constant(node.value), sure=node.type, safe=True)
            case Ident():
                code = self._ident(node)
            case Select() | Index():
                code = self._access(node)
            case Call():
                code = self._call(node)
            case Logic():
                code = self.logic(node)
            case Loop():
                code = self.loop(node)
            case Bind():
                code = self.bind(node)
            case _:
                code = self._structure(node)
        self.mark(code.expr, node)
        return code

    def _structure(self, node: Node) -> Code:
        if isinstance(node, Choice):
            return self.choice(node)
        if isinstance(node, ListOf):
            items = [self.visit(item).expr for item in node.items]
            for number in node.optional:
                items[number] = py.spread(
                    py.call("optional_elements", items[number], py.const("?"))
                )
            return Code(ast.List(elts=items, ctx=ast.Load()), sure=ListType())
        if isinstance(node, MapOf):
            return self._map(node)
        raise AssertionError(f"the parser makes no {type(node).__name__}")

    def _map(self, node: MapOf) -> Code:
        parts: list[ast.expr] = []
        for number, (key, value) in enumerate(node.entries):
            pair = self.visit(key).expr, self.visit(value).expr
            optional = number in node.optional
            parts += [py.spread(py.call("entry", *pair))] if optional else pair
        return Code(py.call("make_map", self.meter(), *parts), sure=MapType())

    def _ident(self, node: Ident) -> Code:
        if node.local in self.doubtful:
            return Code(py.call("bound", py.name(f"v{node.local}")))
        if node.local:
            return Code(py.name(f"v{node.local}"), safe=True)
        return Code(py.item(py.name("bindings"), node.name))

    def _access(self, node: Select | Index) -> Code:
        operand = self.visit(node.operand)
        if node.optional:
            return self._optional(node, operand)
        if isinstance(node, Select):
            return self._presence(node, operand) if node.test else _subscript(operand, node.field)
        if isinstance(node.key, Literal) and isinstance(node.key.value, str):
            return _subscript(operand, node.key.value)
        key = self.visit(node.key)
        return Code(py.call("index", self.meter(), operand.expr, key.expr))

    def _optional(self, node: Select | Index, operand: Code) -> Code:
        if isinstance(node, Select):
            call = py.call("select_optional", operand.expr, py.const(node.field))
        else:
            key = self.visit(node.key).expr
            call = py.call("index_optional", self.meter(), operand.expr, key)
        return Code(call, sure=OptionalType())

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
            safe = operand.safe and operand.sure == BOOL
            decided = self.decided(operand, node.args[0], "!")
            return Code(py.not_(decided), sure=BOOL, safe=safe)
        if node.function == "matches" and isinstance(node.args[-1], Literal):
            return self._pattern(node)
        return self._function(node)

    def _function(self, node: Call) -> Code:
        if node.function in FALLBACKS and node.target is not None:
            return self.fallback(node, node.target)
        return self.run(node, [self._argument(arg) for arg in children(node)])

    def run(self, node: Call, args: list[Code]) -> Code:
        """Call the overload that the arguments have for certain, or what finds it when it runs."""
        key = node.function, node.target is not None
        run, sure = CALLS[key], cast("Type", DYN)
        overloads = FUNCTIONS[key]
        kinds = tuple(arg.sure for arg in args)
        for overload in overloads:
            if overload.takes(kinds):
                run, sure = overload.run, overload.always
        if len({overload.always for overload in overloads}) == 1:
            sure = overloads[0].always
        function = cast("ast.Name", self.constant(run)).id
        return Code(py.call(function, self.meter(), *(arg.expr for arg in args)), sure=sure)

    def _argument(self, node: Node) -> Code:
        """Visit an argument; what the schema calls a double may be written `5` in JSON."""
        code = self.visit(node)
        if node.type == DOUBLE and code.sure == DYN:
            return Code(py.call("real", code.expr))
        return code

    def _pattern(self, node: Call) -> Code:
        """A literal pattern is compiled once; anything but a plain string takes the slow way."""
        text, literal = self.visit(children(node)[0]), cast("Literal", node.args[-1])
        compiled = self.constant(regexes.pattern(literal.value, regexes.LITERAL))
        run = cast("ast.Name", self.constant(CALLS["matches", True])).id
        temp = self.temp()
        test = py.is_(py.call("type", py.keep(temp, text.expr)), py.name("str"))
        fast = py.call("found", self.meter(), py.name(temp), compiled)
        slow = py.call(run, self.meter(), py.name(temp), py.const(literal.value))
        return Code(py.choose(test, fast, slow), sure=BOOL)

    def _relation(self, sign: str, left: Node, right: Node) -> Code:
        if isinstance(left, Literal) and sign in relations.MIRROR:
            left, right, sign = right, left, relations.MIRROR[sign]
        operand = self.visit(left)
        simple = not isinstance(left, Literal | ListOf | MapOf)
        if simple and isinstance(right, Literal) and _native(right):
            found = self._with_literal(sign, operand, right)
            if found is not None:
                return found
        if simple and sign == "in" and _all_strings(right):
            texts = [cast("Literal", item).value for item in children(right)]
            return Code(relations.membership(operand.expr, texts), sure=BOOL, safe=operand.safe)
        other = self.visit(right)
        if sign in relations.MIRROR and {operand.sure, other.sure} <= {INT}:
            expr = py.compare(operand.expr, relations.PYTHON[sign](), other.expr)
            return Code(expr, sure=BOOL, safe=operand.safe and other.safe)
        function = relations.FUNCTION[sign]
        return Code(py.call(function, self.meter(), operand.expr, other.expr), sure=BOOL)

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


def _subscript(operand: Code, key: str) -> Code:
    """A literal or an operator can be no map; Python would warn of the subscription."""
    if isinstance(operand.expr, ast.Name | ast.Subscript):
        return Code(py.item(operand.expr, key))
    return Code(py.call("select", operand.expr, py.const(key)))


def _native(literal: Literal) -> bool:
    return type(literal.value) in WRITABLE | {Uint} and relations.exact(literal.value)


def _all_strings(node: Node) -> bool:
    items = children(node)
    return isinstance(node, ListOf) and all(
        isinstance(item, Literal) and item.type == STRING for item in items
    )
