"""Source text -> tokens. Source of the grammar: CEL language definition, section Syntax."""

import re
from typing import NamedTuple

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


class Token(NamedTuple):
    """One lexical element; `kind` is end, string, double, int, word, quoted or the sign itself."""

    kind: str
    text: str
    line: int
    column: int


def tokens(source: str) -> list[Token]:
    """Return the tokens of `source`, closed by one of kind `end`.

    Raises:
        CelError: a character or string that no token can begin or end with; or a source
            longer than MAX_SOURCE characters.
    """
    if len(source) > MAX_SOURCE:
        raise CelError(
            1, 1, f"the expression has {len(source)} characters; at most {MAX_SOURCE} are allowed"
        )
    found = []
    offset, line, start = 0, 1, 0
    while offset < len(source):
        match = _TOKEN.match(source, offset)
        column = offset - start + 1
        if match is None:
            hint = _MEANT.get(source[offset], "")
            raise CelError(line, column, f"unexpected character {source[offset]!r}{hint}")
        kind, text = str(match.lastgroup), match.group()
        if kind == "string":
            text = _string(source, match, line, column)
        if kind != "space":
            found.append(Token(text if kind == "punctuation" else kind, text, line, column))
        offset += len(text)
        if "\n" in text:
            line += text.count("\n")
            start = offset - len(text) + text.rindex("\n") + 1
    found.append(Token("end", "", line, offset - start + 1))
    return found


def _string(source: str, opening: re.Match[str], line: int, column: int) -> str:
    """Return the whole literal, prefix and quotes included."""
    prefix = opening.group().rstrip("'\"")
    quote = opening.group()[len(prefix) :]
    cooked, raw = _BODY[quote]
    body = (raw if "r" in prefix.lower() else cooked).match(source, opening.end())
    if body is None:
        raise CelError(line, column, f"the string is not closed; {quote} is missing")
    return opening.group() + body.group()
