"""A walk along tokens: what comes next, and the refusal of what must not come."""

from typing import Final, NoReturn

from engine.rules.cel.errors import CelError
from engine.rules.cel.lexer import Token
from engine.rules.wording import quoted

_SIGNS: Final = {"and": "&&", "or": "||", "not": "!"}


class Cursor:
    """Reads a list of tokens, from left to right, once."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.next = 0

    @property
    def peek(self) -> Token:
        """The next token."""
        return self.tokens[self.next]

    def take(self) -> Token:
        """Return the next token and go on behind it."""
        token = self.peek
        self.next += 1
        return token

    def skip(self, kind: str) -> bool:
        """Take the next token if it is of `kind`."""
        if self.peek.kind != kind:
            return False
        self.next += 1
        return True

    def expect(self, kind: str) -> Token:
        """Take the next token, which must be of `kind`."""
        if self.peek.kind != kind:
            self.refuse(self.peek, f"'{kind}'")
        return self.take()

    def refuse(self, token: Token, wanted: str) -> NoReturn:
        """Raise the error of a token that stands where something else is wanted."""
        before = self.tokens[self.tokens.index(token) - 1].text
        if token.text in _SIGNS or before in _SIGNS:
            word = token.text if token.text in _SIGNS else before
            raise CelError(token.line, token.column, f"'{word}' is written {_SIGNS[word]} in CEL")
        found = quoted(token.text) if token.text else "the end of the expression"
        raise CelError(token.line, token.column, f"found {found} where {wanted} is expected")
