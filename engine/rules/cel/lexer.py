"""Source text -> tokens. Source of the grammar: CEL language definition, section Syntax."""

import re
from bisect import bisect_right
from dataclasses import dataclass

from engine.rules.cel.errors import CelError

MAX_SOURCE = 20_000
KEYWORDS = frozenset({"true", "false", "null", "in"})
RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
    "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip

_TOKEN = re.compile(
    r"""
      (?P<space>[\t\n\f\r ]+|//[^\n]*)
    | (?P<string>[bB]?[rR]?(?:\"{3}|'{3}|\"|'))
    | (?P<double>[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<int>(?:0x[0-9a-fA-F]+|[0-9]+)[uU]?)
    | (?P<word>[_a-zA-Z][_a-zA-Z0-9]*)
    | (?P<quoted>`[a-zA-Z0-9_.\-/ ]+`)
    | (?P<punctuation>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)


_MEANT = {
    "=": "; compare by ==",
    "&": "; write &&",
    "|": "; write ||",
    ";": "; write one expression",
}


def _bodies(quote: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what follows an opening `quote`: in a cooked and in a raw string."""
    if quote in {"'''", '"""'}:
        return (
            re.compile(rf"(?:[^\\]|\\.)*?{quote}", re.DOTALL),
            re.compile(rf".*?{quote}", re.DOTALL),
        )
    return (
        re.compile(rf"(?:[^\\\r\n{quote}]|\\.)*{quote}"),
        re.compile(rf"[^\r\n{quote}]*{quote}"),
    )


_BODY = {quote: _bodies(quote) for quote in ("'", '"', "'''", '"""')}


@dataclass(frozen=True)
class Token:
    """One lexical element; `kind` is end, string, double, int, word, quoted or the sign itself."""

    kind: str
    text: str
    line: int
    column: int


class Places:
    """Turns offsets of a source into lines and columns, both from 1."""

    def __init__(self, source: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", source))]

    def at(self, offset: int) -> tuple[int, int]:
        """Return the line and column of `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def tokens(source: str) -> list[Token]:
    """Return the tokens of `source`, closed by one of kind `end`.

    Raises:
        CelError: a character or string that no token can begin or end with; or a source
            longer than MAX_SOURCE characters.
    """
    places = Places(source)
    if len(source) > MAX_SOURCE:
        raise CelError(
            1, 1, f"the expression has {len(source)} characters; at most {MAX_SOURCE} are allowed"
        )
    found = []
    offset = 0
    while offset < len(source):
        match = _TOKEN.match(source, offset)
        if match is None:
            hint = _MEANT.get(source[offset], "")
            raise CelError(*places.at(offset), f"unexpected character {source[offset]!r}{hint}")
        kind, text = str(match.lastgroup), match.group()
        if kind == "string":
            text = _string(source, match, places)
        if kind != "space":
            name = text if kind == "punctuation" else kind
            found.append(Token(name, text, *places.at(offset)))
        offset += len(text)
    found.append(Token("end", "", *places.at(len(source))))
    return found


def _string(source: str, opening: re.Match[str], places: Places) -> str:
    """Return the whole literal, prefix and quotes included."""
    prefix = opening.group().rstrip("'\"")
    quote = opening.group()[len(prefix) :]
    cooked, raw = _BODY[quote]
    body = (raw if "r" in prefix.lower() else cooked).match(source, opening.end())
    if body is None:
        where = places.at(opening.start())
        raise CelError(*where, f"the string is not closed; {quote} is missing")
    return opening.group() + body.group()
