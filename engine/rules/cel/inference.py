"""What a part of an expression gives, from the types of its parts; or why it can not be."""

from collections.abc import Sequence
from functools import reduce
from typing import Final

from engine.rules.cel import types as t
from engine.rules.cel.errors import EvaluationError
from engine.rules.cel.functions import CONSTANT, FUNCTIONS, fold
from engine.rules.cel.refusals import a, advice, no_overload, refuse, unknown_function
from engine.rules.cel.regexes import COMPUTED, LITERAL, pattern
from engine.rules.cel.syntax import Call, Index, Literal, Loop, Node, Select
from engine.rules.cel.types import DYN, ListType, MapType, OptionalType, StructType, Type
from engine.rules.cel.values import TypeName
from engine.rules.wording import quoted, unknown

_ORDERED: Final = frozenset({
    t.INT, t.UINT, t.DOUBLE, t.STRING, t.BYTES, t.BOOL, t.TIMESTAMP, t.DURATION, DYN
})  # fmt: skip
ORDER: Final = frozenset({"<", "<=", ">", ">="})
RELATIONS: Final = ORDER | {"==", "!=", "in"}
PREDICATES: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter"})
"""The macros whose last argument is a bool."""
OF_OPTIONAL: Final = frozenset({"optMap", "optFlatMap"})
"""The macros that walk over an optional value."""
_PATTERNS: Final = {
    "matches": LITERAL,
    "regex.extract": COMPUTED,
    "regex.extractAll": COMPUTED,
    "regex.replace": COMPUTED,
}


def type_name(node: Node, name: str) -> Node:
    """Return the literal of a type."""
    return Literal(line=node.line, column=node.column, type=t.TYPE, value=TypeName(name))


def common(found: list[Type]) -> Type:
    """Return the type that all of `found` have, as far as they share one."""
    return reduce(t.join, found) if found else DYN


def field(node: Select, of: Type) -> Type:
    """Return the type of a field of an `of`; a field of an optional value is optional too."""
    if isinstance(of, OptionalType):
        return OptionalType(_field(node, of.elem))
    found = _field(node, of)
    return OptionalType(found) if node.optional else found


def _field(node: Select, of: Type) -> Type:
    if isinstance(of, StructType):
        return struct_field(node, node.field, of)
    if isinstance(of, MapType):
        if not (t.fits(of.key, t.STRING) or node.test or node.optional):
            refuse(node, f"{a(of)} has no fields; its keys are no strings")
        return of.value
    if of != DYN:
        refuse(node, f"{a(of)} has no fields, so no {quoted(node.field)}")
    return DYN


def struct_field(node: Node, name: str, of: StructType) -> Type:
    """Return the type of a field of a struct; an unknown one is refused, with the nearest."""
    if name in of.fields:
        return of.fields[name]
    if not of.open:
        refuse(node, unknown("field", name, of.fields, of=of.name))
    return DYN


def part(node: Index, of: Type, key: Type) -> Type:
    """Return the type of `of[key]`; a part of an optional value is optional too."""
    if isinstance(of, OptionalType):
        return OptionalType(_part(node, of.elem, key))
    found = _part(node, of, key)
    return OptionalType(found) if node.optional else found


def _part(node: Index, of: Type, key: Type) -> Type:
    if isinstance(of, ListType):
        if key not in t.NUMBERS | {DYN}:
            refuse(node.key, f"a list is indexed by a number, not by {a(key)}")
        return of.elem
    if isinstance(of, MapType):
        return of.value
    if isinstance(of, StructType):
        written = node.key.value if isinstance(node.key, Literal) else None
        return struct_field(node.key, written, of) if isinstance(written, str) else DYN
    if of != DYN:
        refuse(node, f"{a(of)} can not be indexed")
    return DYN


def contents(nodes: Sequence[Node], optional: frozenset[int]) -> list[Type]:
    """Return the types that `nodes` put into a list or map; an optional one puts its value."""
    return [
        _content(node) if number in optional else node.type for number, node in enumerate(nodes)
    ]


def _content(node: Node) -> Type:
    if isinstance(node.type, OptionalType):
        return node.type.elem
    if node.type != DYN:
        refuse(node, f"? takes an optional value, such as a.?b, not {a(node.type)}")
    return DYN


def elements(node: Loop, of: Type) -> tuple[Type, ...]:
    """Return the types of the variables of a macro that walks over an `of`."""
    count = len(node.variables)
    if node.macro in OF_OPTIONAL:
        return (_walked_optional(node, of),)
    if isinstance(of, ListType):
        return (t.INT, of.elem)[-count:]
    if isinstance(of, MapType):
        return (of.key, of.value)[:count]
    if isinstance(of, StructType):
        return (t.STRING, DYN)[:count]
    if of != DYN:
        refuse(node, f"{node.macro}() walks over a list or a map, not over {a(of)}")
    return (DYN,) * count


def _walked_optional(node: Loop, of: Type) -> Type:
    if isinstance(of, OptionalType):
        return of.elem
    if of != DYN:
        refuse(node, f"{node.macro}() takes an optional value, such as a.?b, not {a(of)}")
    return DYN


def outcome(node: Loop, over: Type, each: Type) -> Type:
    """Return the type of what a macro gives, whose elements each give an `each`."""
    key = elements(node, over)[0]
    results: dict[str, Type] = {
        "filter": ListType(key),
        "sortBy": ListType(key),
        "map": ListType(each),
        "transformList": ListType(each),
        "transformMap": MapType(key, each),
        "transformMapEntry": each if isinstance(each, MapType) else MapType(),
        "optMap": OptionalType(each),
        "optFlatMap": each if isinstance(each, OptionalType) else OptionalType(),
    }
    return results.get(node.macro, t.BOOL)


def relation(node: Call, left: Node, right: Node) -> None:
    """Refuse a comparison of types that are never equal, or have no order."""
    ours, theirs = left.type, right.type
    if node.function == "in":
        if isinstance(theirs, t.Scalar) and theirs != DYN:
            refuse(node, f"in looks into a list or a map, not into {a(theirs)}")
        return
    alike = t.fits(ours, theirs) or {ours, theirs} <= t.NUMBERS
    if node.function in ORDER and not (alike and {ours, theirs} <= _ORDERED):
        refuse(
            node,
            f"{a(ours)} and {a(theirs)} have no order for {node.function}{advice(ours, theirs)}",
        )
    if not alike and t.NULL not in {ours, theirs} and t.shape(ours) != t.shape(theirs):
        refuse(node, f"{a(ours)} is never equal to {a(theirs)}{advice(ours, theirs)}")


def result(node: Call, values: tuple[Node, ...]) -> Type:
    """Return the type of a call, from the overloads that may apply."""
    overloads = FUNCTIONS[node.function, node.target is not None]
    types = [value.type for value in values]
    possible = [
        overload.gives(*types)
        for overload in overloads
        if len(overload.params) == len(values) and all(map(t.fits, types, overload.params))
    ]
    if not possible:
        no_overload(node, types, overloads)
    return possible[0] if len(set(possible)) == 1 else DYN


def known(node: Call) -> None:
    """Refuse a function or method that there is not."""
    if node.function in RELATIONS or (node.function, node.target is not None) in FUNCTIONS:
        return
    unknown_function(node)


def constant(node: Call) -> Node:
    """Work out what is known at compile time: literal durations and timestamps."""
    literal = _literal_text(node)
    if literal is None or node.function in _PATTERNS:
        return node
    try:
        value = fold(node.function, literal.value)
    except EvaluationError as error:
        refuse(literal, error.message)
    return Literal(line=node.line, column=node.column, type=node.type, value=value)


def instructions(node: Call) -> int:
    """Return how many instructions a literal pattern in `node` has; 0 without one."""
    literal = _literal_text(node) if node.function in _PATTERNS else None
    if literal is None:
        return 0
    try:
        return int(pattern(literal.value, _PATTERNS[node.function]).programsize)
    except EvaluationError as error:
        refuse(literal, error.message)


def _literal_text(node: Call) -> Literal | None:
    """Return the argument of `node` that is looked at before any evaluation, if it is written."""
    values = node.args if node.target is None else (node.target, *node.args)
    number = 0 if node.function in CONSTANT and len(values) == 1 else 1
    if len(values) <= number or not (number == 0 or node.function in _PATTERNS):
        return None
    found = values[number]
    return found if isinstance(found, Literal) and isinstance(found.value, str) else None
