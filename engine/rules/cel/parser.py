"""Tokens -> syntax tree, by recursive descent; the macros are recognised here.

The bounds keep every stage, all of which recurse, far from the limits of the interpreter: at
most MAX_DEPTH brackets in one another, and a tree of at most MAX_HEIGHT levels. MAX_NODES keeps
the time to load an expression, and that to write its code, below 100 ms.
"""

from engine.rules.cel import literals, nodes
from engine.rules.cel.cursor import Cursor
from engine.rules.cel.errors import CelError
from engine.rules.cel.functions import QUALIFIED
from engine.rules.cel.lexer import KEYWORDS, RESERVED, Token, tokens
from engine.rules.cel.nodes import MACROS, MAX_CHAIN
from engine.rules.cel.syntax import (
    Call,
    Choice,
    Ident,
    Index,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    children,
)

MAX_DEPTH = 40
MAX_HEIGHT = 100
MAX_NODES = 400
_LITERALS = 8
"""So many literals count as one node."""
MAX_LOOPS = 6

_LEVEL = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}
_BIND = ("cel", "bind", 3)
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse(source: str) -> Node:
    """Return the syntax tree of `source`.

    Raises:
        CelError: the first place where `source` is no CEL, or a bound that it exceeds.
    """
    root = _Parser(tokens(source)).whole()
    level, height, count = [root], 1, _LITERALS
    while level := [below for node in level for below in children(node)]:
        height += 1
        count += sum([1 if type(node) is Literal else _LITERALS for node in level])
        where = level[0].line, level[0].column
        if height > MAX_HEIGHT:
            raise CelError(*where, f"nested too deep; at most {MAX_HEIGHT} levels")
        if count > MAX_NODES * _LITERALS:
            raise CelError(*where, f"too large; at most {MAX_NODES} operations and names")
    return root


class _Parser(Cursor):
    """Reads one list of tokens, from left to right, once."""

    def __init__(self, found: list[Token]) -> None:
        super().__init__(found)
        self._depth = 0
        self._loops = 0

    def whole(self) -> Node:
        node = self._expression()
        if self.peek.kind != "end":
            self.refuse(self.peek, "an operator or the end")
        return node

    # -- expressions

    def _expression(self) -> Node:
        """Read a whole expression, with its `? :`."""
        start = self.peek
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CelError(start.line, start.column, f"nested too deep; at most {MAX_DEPTH} levels")
        node = self._binary(1)
        if self.skip("?"):
            yes = self._binary(1)
            self.expect(":")
            no = self._expression()
            node = Choice(line=start.line, column=start.column, test=node, yes=yes, no=no)
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        """Read operators of `level` and tighter ones, by precedence climbing."""
        left = self._unary()
        length = 0
        while (found := _LEVEL.get(self._sign(), 0)) >= level:
            sign = self.take()
            length += 1
            right = self._binary(found + 1)
            if sign.text in {"&&", "||"}:
                left = nodes.logic(sign, left, right)
                continue
            if length > MAX_CHAIN:
                raise CelError(sign.line, sign.column, f"more than {MAX_CHAIN} operators in a row")
            left = Call(line=sign.line, column=sign.column, function=sign.text, args=(left, right))
        return left

    def _sign(self) -> str:
        token = self.peek
        return token.text if token.text in {token.kind, "in"} else ""

    def _unary(self) -> Node:
        signs: list[Token] = []
        while self.peek.kind in {"-", "!"} and (not signs or self.peek.kind == signs[0].kind):
            signs.append(self.take())
        if not signs:
            return self._member(self._primary())
        if signs[0].kind == "-" and self.peek.kind in {"int", "double"} and not self._unsigned():
            signs.pop()
            operand = self._member(self._number(negative=True))
        else:
            operand = self._member(self._primary())
        return nodes.signed(signs, operand)

    def _unsigned(self) -> bool:
        return self.peek.text[-1] in "uU"

    def _member(self, node: Node) -> Node:
        """Read the selections, indices and method calls behind `node`."""
        for _ in range(MAX_CHAIN + 1):
            token = self.peek
            if self.skip("."):
                node = self._selection(node)
            elif self.skip("["):
                node = self._index(node, token)
            elif token.kind == "{" and isinstance(node, Ident | Select):
                raise CelError(
                    token.line, token.column, "messages can not be built here; use a map {...}"
                )
            else:
                return node
        raise CelError(self.peek.line, self.peek.column, f"more than {MAX_CHAIN} selections")

    def _index(self, operand: Node, bracket: Token) -> Node:
        optional = self.skip("?")
        key = self._expression()
        self.expect("]")
        return Index(
            line=bracket.line, column=bracket.column, operand=operand, key=key, optional=optional
        )

    def _selection(self, operand: Node) -> Node:
        optional = self.skip("?")
        name = self.take()
        if name.kind == "quoted":
            field = name.text[1:-1]
        elif name.kind == "word" and name.text not in KEYWORDS:
            field = name.text
        else:
            self.refuse(name, "the name of a field")
        if name.kind == "word" and not optional and self.skip("("):
            return self._method(operand, name)
        return Select(
            line=name.line, column=name.column, operand=operand, field=field, optional=optional
        )

    def _method(self, target: Node, name: Token) -> Node:
        looping = name.text in MACROS and self._arity() in MACROS[name.text]
        self._loops += looping
        if self._loops > MAX_LOOPS:
            raise CelError(name.line, name.column, f"more than {MAX_LOOPS} macros nested")
        args = self._expressions(")")
        self._loops -= looping
        if looping:
            return nodes.loop(target, name, args)
        if isinstance(target, Ident) and f"{target.name}.{name.text}" in QUALIFIED:
            return nodes.qualified(target, name, args)
        if isinstance(target, Ident) and (target.name, name.text, len(args)) == _BIND:
            return nodes.bind(name, args)
        return Call(
            line=name.line, column=name.column, function=name.text, target=target, args=args
        )

    def _arity(self) -> int:
        """Count the arguments that follow, up to the closing bracket."""
        depth, commas = 0, 0
        for ahead in range(self.next, len(self.tokens)):
            kind = self.tokens[ahead].kind
            if kind in {")", "]", "}"} and depth == 0:
                return commas + (ahead > self.next)
            depth += (kind in {"(", "[", "{"}) - (kind in {")", "]", "}"})
            commas += kind == "," and depth == 0
        return 0

    def _expressions(self, closing: str) -> tuple[Node, ...]:
        """Read expressions up to `closing`, which is taken."""
        found: list[Node] = []
        if self.skip(closing):
            return ()
        while True:
            found.append(self._expression())
            if self.skip(closing):
                return tuple(found)
            self.expect(",")

    # -- primaries

    def _primary(self) -> Node:
        token = self.peek
        match token.kind:
            case "int" | "double":
                return self._number(negative=False)
            case "string":
                self.take()
                return Literal(line=token.line, column=token.column, value=literals.text(token))
            case "word":
                return self._word(root=False)
            case _:
                return self._bracket()

    def _bracket(self) -> Node:
        token = self.take()
        if token.kind == "(":
            node = self._expression()
            self.expect(")")
            return node
        if token.kind == "[":
            return self._list(token)
        if token.kind == "{":
            return self._map(token)
        if token.kind == "." and self.peek.kind == "word":
            return self._word(root=True)
        return self.refuse(token, "a value")

    def _number(self, *, negative: bool) -> Node:
        token = self.take()
        value = literals.number(token, negative=negative)
        return Literal(line=token.line, column=token.column, value=value)

    def _word(self, *, root: bool) -> Node:
        token = self.take()
        line, column = token.line, token.column
        if token.text in _CONSTANTS and not root:
            return Literal(line=line, column=column, value=_CONSTANTS[token.text])
        if token.text in RESERVED or token.text in KEYWORDS:
            raise CelError(line, column, f"'{token.text}' is a reserved word, not a name")
        if not self.skip("("):
            return Ident(line=line, column=column, name=token.text, root=root)
        args = self._expressions(")")
        if token.text == "has":
            return nodes.presence(token, args)
        return Call(line=line, column=column, function=token.text, args=args)

    def _list(self, bracket: Token) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while self._goes_on("]", first=not items):
            if self.skip("?"):
                optional.add(len(items))
            items.append(self._expression())
        return ListOf(
            line=bracket.line,
            column=bracket.column,
            items=tuple(items),
            optional=frozenset(optional),
        )

    def _map(self, brace: Token) -> Node:
        entries: list[tuple[Node, Node]] = []
        optional: set[int] = set()
        while self._goes_on("}", first=not entries):
            if self.skip("?"):
                optional.add(len(entries))
            key = self._expression()
            self.expect(":")
            entries.append((key, self._expression()))
        return MapOf(
            line=brace.line,
            column=brace.column,
            entries=tuple(entries),
            optional=frozenset(optional),
        )

    def _goes_on(self, closing: str, *, first: bool) -> bool:
        """Tell whether another element follows; the last one may end with a comma."""
        if self.skip(closing):
            return False
        if first and not self.skip(","):
            return True
        if not first and not self.skip(","):
            self.refuse(self.peek, f"',' or '{closing}'")
        if self.skip(closing):
            return False
        return not first or self.refuse(self.peek, f"'{closing}'")
