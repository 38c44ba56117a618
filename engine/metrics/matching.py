"""Matchers put into every selector of a PromQL expression. Pure.

The text is edited where it stands, since a parser's way of printing an expression need not be
Prometheus'; then a parser is asked whether the edit did what it should, to every selector.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import promql_parser as promql

from engine.model.errors import MetricsError

_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
    r"""|(?P<comment>\#[^\n]*)"""
    r"""|(?P<number>(?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\d+)?)"""
    r"""|(?P<name>[a-zA-Z_:][\w:.]*)"""
    r"""|(?P<space>\s+)"""
    r"""|(?P<sign>.)""",
    re.DOTALL,
)
_GROUPING: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS: Final = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_OPERATORS: Final = frozenset("+-*/%^=<>([") | {"and", "or", "unless", "atan2"}
_MOST_OPERATORS = 80
_LONGEST = 16 << 10
"""The parser's walk takes time that grows with the fourth power of what is nested."""


class _Token(NamedTuple):
    kind: str
    text: str
    end: int


def matching(expression: str, match: Mapping[str, str]) -> str:
    """Return `expression` with each label of `match` wanted of every series that it reads.

    Raises:
        MetricsError: refused: it cannot be parsed, or not be changed so that this is sure.
    """
    return _matching(expression, tuple(match.items())) if match else expression


@lru_cache(maxsize=1000)
def _matching(expression: str, labels: tuple[tuple[str, str], ...]) -> str:
    match = dict(labels)
    _bounded(expression)
    before = _selectors(expression)
    changed = _inserted(expression, match)
    wanted = [(name, sorted([*matchers, *_as_read(match)])) for name, matchers in before]
    if [(name, sorted(matchers)) for name, matchers in _selectors(changed)] != wanted:
        raise MetricsError(
            "refused",
            f"{expression[:200]}: the labels of `match` cannot be put into every selector; "
            "write each as name{...}",
        )
    return changed


def _bounded(expression: str) -> None:
    if len(expression) <= _LONGEST:
        outside = (token.text.lower() for token in _outside(list(_tokens(expression))))
        if sum(text in _OPERATORS for text in outside) <= _MOST_OPERATORS:
            return
    raise MetricsError(
        "refused",
        f"{expression[:200]}: with `match` an expression has {_MOST_OPERATORS} operators and "
        f"brackets at most, and {_LONGEST} characters",
    )


def _outside(tokens: Sequence[_Token]) -> Iterator[_Token]:
    """Yield the tokens outside of braces."""
    braces = 0
    for token in tokens:
        braces += (token.text == "{") - (token.text == "}")
        if braces == 0:
            yield token


_Matchers: TypeAlias = list[tuple[str, str, str]]


def _as_read(match: Mapping[str, str]) -> _Matchers:
    return [(name, str(promql.MatchOp.Equal), value) for name, value in match.items()]


def _selectors(expression: str) -> list[tuple[str, _Matchers]]:
    """Return metric name and matchers of every selector, in a fixed order."""
    try:
        parsed = promql.parse(expression)
    except ValueError as error:
        raise MetricsError("refused", f"{expression[:200]}: {error}") from error
    found: list[tuple[str, _Matchers]] = []

    def visit(expr: promql.Expr) -> None:
        if isinstance(expr, promql.VectorSelector):
            if expr.matchers.or_matchers:
                raise MetricsError("refused", f"{expression[:200]}: `or` between matchers")
            found.append(
                (expr.name or "", [(m.name, str(m.op), m.value) for m in expr.matchers.matchers])
            )

    promql.walk(parsed, visit)
    return found


def _inserted(expression: str, match: Mapping[str, str]) -> str:
    # A JSON string is one of PromQL too, but for escapes that label values never need.
    inner = ",".join(f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in match.items())
    pieces: list[str] = []
    at = 0
    for place, text in _places(list(_tokens(expression)), inner):
        pieces += (expression[at:place], text)
        at = place
    return "".join([*pieces, expression[at:]])


def _tokens(expression: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(expression):
        kind = str(found.lastgroup)
        if kind not in {"comment", "space"}:
            yield _Token(kind, found[0], found.end())


def _places(tokens: Sequence[_Token], inner: str) -> Iterator[tuple[int, str]]:
    """Yield where matchers go, and how they are written there."""
    closed = listed = 0
    for number, token in enumerate(tokens):
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        before = tokens[number - 1].text.lower() if number else ""
        if token.text == "{":
            yield token.end, inner if after == "}" else f"{inner},"
        if token.text in {"{", "["}:
            closed += 1
        elif token.text in {"}", "]"}:
            closed -= 1
        elif token.text == "(" and (listed or before in _GROUPING):
            listed += 1
        elif token.text == ")" and listed:
            listed -= 1
        elif token.kind == "name" and not closed and not listed and _names(token, after):
            yield token.end, f"{{{inner}}}"


def _names(token: _Token, after: str) -> bool:
    """Whether a name stands for a metric, and has no braces of its own."""
    word = token.text.lower()
    if after in {"{", "("} or word in _WORDS or word in _GROUPING:
        return False
    # `sum by (x) (...)`: the name of an aggregation.
    return after.lower() not in {"by", "without"}
