"""Nodes that more than one token makes: chains, signs, has() and the macros."""

from collections.abc import Mapping
from typing import Final

from engine.rules.cel.errors import CelError
from engine.rules.cel.lexer import Token
from engine.rules.cel.syntax import (
    Bind,
    Call,
    Ident,
    ListOf,
    Literal,
    Logic,
    Loop,
    MapOf,
    Node,
    Select,
    changed,
)

MACROS: Final[Mapping[str, Mapping[int, int]]] = {
    "all": {2: 1, 3: 2},
    "exists": {2: 1, 3: 2},
    "exists_one": {2: 1},
    "existsOne": {3: 2},
    "filter": {2: 1},
    "map": {2: 1, 3: 1},
    "sortBy": {2: 1},
    "transformList": {3: 2, 4: 2},
    "transformMap": {3: 2, 4: 2},
    "transformMapEntry": {3: 2, 4: 2},
    "optMap": {2: 1},
    "optFlatMap": {2: 1},
}
"""The macros: with so many arguments, so many of them are names of variables."""
MAX_CHAIN: Final = 64
_OF_MANY: Final = frozenset({"math.greatest", "math.least"})


def logic(sign: Token, left: Node, right: Node) -> Node:
    """Join a chain of the same sign into one node, however it was bracketed."""
    parts: tuple[Node, ...] = ()
    for part in (left, right):
        same = isinstance(part, Logic) and part.sign == sign.text
        parts += part.parts if same and isinstance(part, Logic) else (part,)
    return Logic(line=sign.line, column=sign.column, sign=sign.text, parts=parts)


def signed(signs: list[Token], operand: Node) -> Node:
    """Apply signs, the last one first; a pair of `!` stays, as it checks for a bool."""
    if len(signs) > MAX_CHAIN:
        raise CelError(signs[0].line, signs[0].column, f"more than {MAX_CHAIN} signs in a row")
    for sign in reversed(signs):
        operand = Call(
            line=sign.line, column=sign.column, function=f"{sign.kind}_", args=(operand,)
        )
    return operand


def presence(token: Token, args: tuple[Node, ...]) -> Node:
    """Return the node of `has(operand.field)`."""
    if len(args) != 1 or not isinstance(args[0], Select) or args[0].test or args[0].optional:
        raise CelError(
            token.line, token.column, "has() takes one selection of a field, such as has(a.b)"
        )
    return changed(args[0], test=True)


def loop(over: Node, name: Token, args: tuple[Node, ...]) -> Node:
    """Return the node of a macro."""
    count = MACROS[name.text][len(args)]
    variables = tuple(_variable(name.text, arg) for arg in args[:count])
    if len(set(variables)) < count:
        raise CelError(args[1].line, args[1].column, f"{name.text}() takes two different names")
    *filters, each = args[count:]
    return Loop(
        line=name.line,
        column=name.column,
        macro=name.text,
        over=over,
        variables=variables,
        each=each,
        where=filters[0] if filters else None,
    )


def bind(name: Token, args: tuple[Node, ...]) -> Node:
    """Return the node of `cel.bind(variable, value, body)`."""
    variable, value, body = args
    named = _variable("cel.bind", variable)
    return Bind(line=name.line, column=name.column, variable=named, value=value, body=body)


def _variable(macro: str, node: Node) -> str:
    if isinstance(node, Ident) and not node.root:
        return node.name
    raise CelError(node.line, node.column, f"the first argument of {macro}() is a plain name")


def qualified(space: Node, name: Token, args: tuple[Node, ...]) -> Node:
    """Return the call of a function with a namespace, such as `math.abs(x)`.

    `math.greatest` and `math.least` of several arguments are those of one list.
    """
    function = f"{space.name}.{name.text}" if isinstance(space, Ident) else name.text
    if function in _OF_MANY:
        args = _numbers(function, name, args)
    return Call(line=space.line, column=space.column, function=function, args=args)


def _numbers(function: str, name: Token, args: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the one list that holds several arguments; what is written in it is a number."""
    items = args[0].items if len(args) == 1 and isinstance(args[0], ListOf) else args
    for item in items:
        if isinstance(item, ListOf | MapOf) or _is_no_number(item):
            raise CelError(item.line, item.column, f"{function}() takes numbers")
    if not items:
        raise CelError(name.line, name.column, f"{function}() takes one number or more")
    return args if len(args) == 1 else (ListOf(line=name.line, column=name.column, items=args),)


def _is_no_number(node: Node) -> bool:
    if not isinstance(node, Literal):
        return False
    return isinstance(node.value, bool) or not isinstance(node.value, int | float)
