"""What a part of an expression gives, from the types of its parts; or why it can not be."""

from functools import reduce
from typing import Final, NoReturn

from engine.model.errors import nearest
from engine.rules.cel import types as t
from engine.rules.cel.errors import CelError, EvaluationError
from engine.rules.cel.functions import CONSTANT, FUNCTIONS, fold
from engine.rules.cel.nodes import MACROS
from engine.rules.cel.strings import LITERAL, pattern
from engine.rules.cel.syntax import Call, Index, Literal, Loop, Node, Select
from engine.rules.cel.types import DYN, ListType, MapType, StructType, Type
from engine.rules.cel.values import TypeName

_ORDERED: Final = frozenset({
    t.INT, t.UINT, t.DOUBLE, t.STRING, t.BYTES, t.BOOL, t.TIMESTAMP, t.DURATION, DYN
})  # fmt: skip
ORDER: Final = frozenset({"<", "<=", ">", ">="})
_METHODS: Final = frozenset({name for name, method in FUNCTIONS if method} | set(MACROS))
_GLOBALS: Final = frozenset(
    {name for name, method in FUNCTIONS if not method and name.isidentifier()} | {"has"}
)


def refuse(node: Node, message: str) -> NoReturn:
    """Raise a CelError at `node`."""
    raise CelError(node.line, node.column, message)


def type_name(node: Node, name: str) -> Node:
    """Return the literal of a type."""
    return Literal(line=node.line, column=node.column, type=t.TYPE, value=TypeName(name))


def common(found: list[Type]) -> Type:
    """Return the type that all of `found` have, as far as they share one."""
    return reduce(t.join, found) if found else DYN


def field(node: Select, of: Type) -> Type:
    """Return the type of a field of an `of`."""
    if isinstance(of, StructType):
        return struct_field(node, node.field, of)
    if isinstance(of, MapType):
        if not t.fits(of.key, t.STRING):
            refuse(node, f"a {of} has no fields; its keys are no strings")
        return of.value
    if of != DYN:
        refuse(node, f"a {of} has no fields, so no '{node.field}'")
    return DYN


def struct_field(node: Node, name: str, of: StructType) -> Type:
    """Return the type of a field of a struct; an unknown one is refused, with the nearest."""
    if name in of.fields:
        return of.fields[name]
    if not of.open:
        known = ", ".join(sorted(of.fields))
        hint = nearest(name, of.fields)
        refuse(node, f"unknown field '{name}' of {of.name}; known: {known}{hint}")
    return DYN


def struct_key(node: Index, of: StructType) -> Type:
    """Return the type of `struct["field"]`."""
    if isinstance(node.key, Literal) and isinstance(node.key.value, str):
        return struct_field(node.key, node.key.value, of)
    return DYN


def element(node: Loop, of: Type) -> Type:
    """Return the type of what a macro walks over."""
    if isinstance(of, ListType):
        return of.elem
    if isinstance(of, MapType):
        return of.key
    if isinstance(of, StructType):
        return t.STRING
    if of != DYN:
        refuse(node, f"{node.macro}() walks over a list or a map, not over a {of}")
    return DYN


def relation(node: Call, left: Node, right: Node) -> None:
    """Refuse a comparison of types that are never equal, or have no order."""
    ours, theirs = left.type, right.type
    if node.function == "in":
        if isinstance(theirs, t.Scalar) and theirs != DYN:
            refuse(node, f"in looks into a list or a map, not into a {theirs}")
        return
    alike = t.fits(ours, theirs) or {ours, theirs} <= t.NUMBERS
    if node.function in ORDER and not (alike and {ours, theirs} <= _ORDERED):
        refuse(node, f"{ours} {node.function} {theirs} has no order")
    if not alike and t.NULL not in {ours, theirs} and t.shape(ours) != t.shape(theirs):
        refuse(node, f"a {ours} is never equal to a {theirs}")


def result(node: Call, values: tuple[Node, ...]) -> Type:
    """Return the type of a call, from the overloads that may apply."""
    method = node.target is not None
    overloads = FUNCTIONS.get((node.function, method))
    if overloads is None:
        refuse(node, unknown_function(node.function, method=method))
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
        refuse(node, f"{node.function} does not take ({found}); it takes {allowed}")
    if node.function == "+" and all(isinstance(value.type, ListType) for value in values):
        return t.join(values[0].type, values[1].type)
    return possible[0] if len(set(possible)) == 1 else DYN


def unknown_function(name: str, *, method: bool) -> str:
    """Return why there is no such function or method."""
    known, others = (_METHODS, _GLOBALS) if method else (_GLOBALS, _METHODS)
    if name in MACROS and method:
        counts = " or ".join(map(str, MACROS[name]))
        return f"{name}() takes {counts} arguments"
    if name in others:
        return f"{name}() is {'no method' if method else 'a method'}; write " + (
            f"{name}(x)" if method else f"x.{name}()"
        )
    return f"unknown function {name}(){nearest(name, sorted(known))}"


def constant(node: Call) -> Node:
    """Work out what is known at compile time: literal durations, timestamps and patterns."""
    last = node.args[-1] if node.args else None
    if not isinstance(last, Literal) or not isinstance(last.value, str):
        return node
    try:
        if node.function in CONSTANT and node.target is None and len(node.args) == 1:
            value = fold(node.function, last.value)
            return Literal(line=node.line, column=node.column, type=node.type, value=value)
        if node.function == "matches":
            pattern(last.value, LITERAL)
    except EvaluationError as error:
        refuse(last, error.message)
    return node
