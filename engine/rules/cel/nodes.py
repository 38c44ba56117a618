"""Nodes that more than one token makes: chains, signs, has() and the macros."""

from dataclasses import replace
from typing import Final

from engine.rules.cel.errors import CelError
from engine.rules.cel.lexer import Token
from engine.rules.cel.syntax import Call, Ident, Logic, Loop, Node, Select

MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "filter": (2,), "map": (2, 3)}
"""The macros, and how many arguments each may have."""
MAX_CHAIN: Final = 64


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
    if len(args) != 1 or not isinstance(args[0], Select) or args[0].test:
        raise CelError(
            token.line, token.column, "has() takes one selection of a field, such as has(a.b)"
        )
    return replace(args[0], test=True)


def loop(over: Node, name: Token, args: tuple[Node, ...]) -> Node:
    """Return the node of a macro."""
    variable, *filters, each = args
    if not isinstance(variable, Ident) or variable.root:
        raise CelError(
            variable.line, variable.column, f"the first argument of {name.text}() is a plain name"
        )
    return Loop(
        line=name.line,
        column=name.column,
        macro=name.text,
        over=over,
        variable=variable.name,
        each=each,
        where=filters[0] if filters else None,
    )
