"""Type check: every node gets its type; what can only fail is refused, with all that is known.

The checker refuses nothing that could have a value: dyn (whatever a schema does not say) fits
everything, and numbers compare over int, uint and double, as JSON does not tell them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from engine.model.errors import nearest
from engine.rules.cel import types as t
from engine.rules.cel.errors import CelError, EvaluationError
from engine.rules.cel.functions import CONSTANT, FUNCTIONS, fold
from engine.rules.cel.numbers import Uint
from engine.rules.cel.parser import MACROS
from engine.rules.cel.strings import pattern
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
)
from engine.rules.cel.types import BOOL, DYN, ListType, MapType, StructType, Type
from engine.rules.cel.values import TypeName

TYPE_NAMES: Final = frozenset(
    {"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"}
)
_WELL_KNOWN: Final = frozenset({"Timestamp", "Duration"})
_ORDERED: Final = frozenset({
    t.INT, t.UINT, t.DOUBLE, t.STRING, t.BYTES, t.BOOL, t.TIMESTAMP, t.DURATION, DYN
})  # fmt: skip
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_KEYS: Final = frozenset({t.INT, t.UINT, t.BOOL, t.STRING, DYN})
_OF_LITERAL: Final[Mapping[type, Type]] = {
    Uint: t.UINT,
    bool: BOOL,
    int: t.INT,
    float: t.DOUBLE,
    str: t.STRING,
    bytes: t.BYTES,
    type(None): t.NULL,
}
_METHODS: Final = frozenset({name for name, method in FUNCTIONS if method} | set(MACROS))
_GLOBALS: Final = frozenset(
    {name for name, method in FUNCTIONS if not method and name.isidentifier()} | {"has"}
)


def check(node: Node, schema: Mapping[str, Type] | None) -> Node:
    """Return `node` with the type of every part.

    Args:
        node: what the parser made.
        schema: the variables and their types; None leaves all names dynamic.

    Raises:
        CelError: the first part that has no value for any bindings.
    """
    return _Checker(schema).visit(node)


@dataclass
class _Checker:
    """The names in scope, while the tree is walked."""

    schema: Mapping[str, Type] | None
    scopes: list[tuple[str, int, Type]] = field(default_factory=list)
    locals: int = 0

    def visit(self, node: Node) -> Node:
        match node:
            case Literal():
                return replace(node, type=_OF_LITERAL[type(node.value)])
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case _:
                return self._structure(node)

    def _structure(self, node: Node) -> Node:
        match node:
            case Logic():
                return self._logic(node)
            case Choice():
                return self._choice(node)
            case Index():
                return self._index(node)
            case Loop():
                return self._loop(node)
            case _:
                return self._literal(node)

    def _literal(self, node: Node) -> Node:
        if isinstance(node, ListOf):
            return self._list(node)
        if isinstance(node, MapOf):
            return self._map(node)
        raise AssertionError(f"the parser makes no {type(node).__name__}")

    # -- names

    def _ident(self, node: Ident) -> Node:
        for name, local, of in reversed(() if node.root else self.scopes):
            if name == node.name:
                return replace(node, local=local, type=of)
        if self.schema is not None and node.name in self.schema:
            return replace(node, type=self.schema[node.name])
        if node.name in TYPE_NAMES:
            return _type_name(node, node.name)
        if self.schema is None:
            return node
        known = [*self.schema, *(name for name, _, _ in self.scopes)]
        _refuse(
            node,
            f"unknown name '{node.name}'; known: {', '.join(sorted(known))}"
            + nearest(node.name, known),
        )

    def _select(self, node: Select) -> Node:
        if not node.test and self._is_well_known(node):
            return _type_name(node, f"google.protobuf.{node.field}")
        operand = self.visit(node.operand)
        of = BOOL if node.test else _field(node, operand.type)
        if node.test:
            _field(node, operand.type)
        return replace(node, operand=operand, type=of)

    def _is_well_known(self, node: Select) -> bool:
        below = node.operand
        return (
            node.field in _WELL_KNOWN
            and isinstance(below, Select)
            and below.field == "protobuf"
            and isinstance(below.operand, Ident)
            and below.operand.name == "google"
            and "google" not in (self.schema or {})
        )

    def _index(self, node: Index) -> Node:
        operand, key = self.visit(node.operand), self.visit(node.key)
        of: Type = DYN
        match operand.type:
            case ListType(elem):
                if key.type not in t.NUMBERS | {DYN}:
                    _refuse(node.key, f"a list is indexed by a number, not by a {key.type}")
                of = elem
            case MapType(_, value):
                of = value
            case StructType():
                of = _struct_key(node, operand.type)
            case scalar if scalar != DYN:
                _refuse(node, f"a {scalar} can not be indexed")
        return replace(node, operand=operand, key=key, type=of)

    # -- operators and functions

    def _logic(self, node: Logic) -> Node:
        parts = tuple(self._condition(part, node.sign) for part in node.parts)
        return replace(node, parts=parts, type=BOOL)

    def _condition(self, node: Node, where: str) -> Node:
        checked = self.visit(node)
        if not t.fits(checked.type, BOOL):
            _refuse(node, f"{where} takes a bool, not a {checked.type}")
        return checked

    def _choice(self, node: Choice) -> Node:
        test = self._condition(node.test, "? :")
        yes, no = self.visit(node.yes), self.visit(node.no)
        return replace(node, test=test, yes=yes, no=no, type=t.join(yes.type, no.type))

    def _call(self, node: Call) -> Node:
        target = None if node.target is None else self.visit(node.target)
        args = tuple(self.visit(arg) for arg in node.args)
        checked = replace(node, target=target, args=args)
        values = args if target is None else (target, *args)
        if node.function == "!_":
            return replace(checked, args=(self._condition(node.args[0], "!"),), type=BOOL)
        if node.function in _ORDER | {"==", "!=", "in"}:
            _relation(node, *values)
            return replace(checked, type=BOOL)
        return _constant(replace(checked, type=_result(node, values)))

    # -- lists, maps and macros

    def _list(self, node: ListOf) -> Node:
        items = tuple(self.visit(item) for item in node.items)
        return replace(node, items=items, type=ListType(_common([item.type for item in items])))

    def _map(self, node: MapOf) -> Node:
        entries = tuple((self.visit(key), self.visit(value)) for key, value in node.entries)
        for key, _ in entries:
            if key.type not in _KEYS:
                _refuse(key, f"a {key.type} can not be the key of a map")
        keys, values = [key.type for key, _ in entries], [value.type for _, value in entries]
        return replace(node, entries=entries, type=MapType(_common(keys), _common(values)))

    def _loop(self, node: Loop) -> Node:
        over = self.visit(node.over)
        self.locals += 1
        local = self.locals
        self.scopes.append((node.variable, local, _element(node, over.type)))
        where = None if node.where is None else self._condition(node.where, "map()")
        if node.macro == "map":
            each = self.visit(node.each)
        else:
            each = self._condition(node.each, f"{node.macro}()")
        self.scopes.pop()
        of = {"map": ListType(each.type), "filter": ListType(_element(node, over.type))}
        return replace(
            node, over=over, each=each, where=where, local=local, type=of.get(node.macro, BOOL)
        )


def _refuse(node: Node, message: str) -> NoReturn:
    raise CelError(node.line, node.column, message)


def _type_name(node: Node, name: str) -> Node:
    return Literal(line=node.line, column=node.column, type=t.TYPE, value=TypeName(name))


def _common(found: list[Type]) -> Type:
    if not found:
        return DYN
    common = found[0]
    for of in found[1:]:
        common = t.join(common, of)
    return common


def _field(node: Select, of: Type) -> Type:
    if isinstance(of, StructType):
        return _struct_field(node, node.field, of)
    if isinstance(of, MapType):
        if not t.fits(of.key, t.STRING):
            _refuse(node, f"a {of} has no fields; its keys are no strings")
        return of.value
    if of != DYN:
        _refuse(node, f"a {of} has no fields, so no '{node.field}'")
    return DYN


def _struct_field(node: Node, name: str, of: StructType) -> Type:
    if name in of.fields:
        return of.fields[name]
    if not of.open:
        known = ", ".join(sorted(of.fields))
        hint = nearest(name, of.fields)
        _refuse(node, f"unknown field '{name}' of {of.name}; known: {known}{hint}")
    return DYN


def _struct_key(node: Index, of: StructType) -> Type:
    if isinstance(node.key, Literal) and isinstance(node.key.value, str):
        return _struct_field(node.key, node.key.value, of)
    return DYN


def _element(node: Loop, of: Type) -> Type:
    if isinstance(of, ListType):
        return of.elem
    if isinstance(of, MapType):
        return of.key
    if isinstance(of, StructType):
        return t.STRING
    if of != DYN:
        _refuse(node, f"{node.macro}() walks over a list or a map, not over a {of}")
    return DYN


def _relation(node: Call, left: Node, right: Node) -> None:
    """Refuse a comparison of types that are never equal, or have no order."""
    ours, theirs = left.type, right.type
    if node.function == "in":
        if isinstance(theirs, t.Scalar) and theirs != DYN:
            _refuse(node, f"in looks into a list or a map, not into a {theirs}")
        return
    alike = t.fits(ours, theirs) or {ours, theirs} <= t.NUMBERS
    if node.function in _ORDER and not (alike and {ours, theirs} <= _ORDERED):
        _refuse(node, f"{ours} {node.function} {theirs} has no order")
    if not alike and t.NULL not in {ours, theirs} and t.shape(ours) != t.shape(theirs):
        _refuse(node, f"a {ours} is never equal to a {theirs}")


def _result(node: Call, values: tuple[Node, ...]) -> Type:
    """Return the type of a call, from the overloads that may apply."""
    method = node.target is not None
    overloads = FUNCTIONS.get((node.function, method))
    if overloads is None:
        _refuse(node, _unknown_function(node.function, method=method))
    possible = [
        overload.result
        for overload in overloads
        if len(overload.params) == len(values)
        and all(
            t.fits(value.type, param) for value, param in zip(values, overload.params, strict=True)
        )
    ]
    if not possible:
        found = ", ".join(str(value.type) for value in values)
        allowed = "; ".join(f"({', '.join(map(str, o.params))})" for o in overloads)
        _refuse(node, f"{node.function} does not take ({found}); it takes {allowed}")
    if node.function == "+" and all(isinstance(value.type, ListType) for value in values):
        return t.join(values[0].type, values[1].type)
    return possible[0] if len(set(possible)) == 1 else DYN


def _unknown_function(name: str, *, method: bool) -> str:
    known, others = (_METHODS, _GLOBALS) if method else (_GLOBALS, _METHODS)
    if name in MACROS and method:
        counts = " or ".join(map(str, MACROS[name]))
        return f"{name}() takes {counts} arguments"
    if name in others:
        return f"{name}() is {'no method' if method else 'a method'}; write " + (
            f"{name}(x)" if method else f"x.{name}()"
        )
    return f"unknown function {name}(){nearest(name, sorted(known))}"


def _constant(node: Call) -> Node:
    """Work out what is known at compile time: literal durations, timestamps and patterns."""
    last = node.args[-1] if node.args else None
    if not isinstance(last, Literal) or not isinstance(last.value, str):
        return node
    try:
        if node.function in CONSTANT and node.target is None and len(node.args) == 1:
            value = fold(node.function, last.value)
            return Literal(line=node.line, column=node.column, type=node.type, value=value)
        if node.function == "matches":
            pattern(last.value)
    except EvaluationError as error:
        _refuse(last, error.message)
    return node
