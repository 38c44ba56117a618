"""Literal tokens -> values: numbers with their ranges, strings and bytes with their escapes."""

import math
import re
import sys

from engine.rules.cel.errors import CelError
from engine.rules.cel.lexer import Token
from engine.rules.cel.numbers import MAX_INT, MAX_UINT, Uint

_ESCAPE = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\?\"'`])|[xX](?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<wrong>.|$))",
    re.DOTALL,
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SURROGATES = range(0xD800, 0xE000)
_BASE = {"byte": 16, "short": 16, "long": 16, "octal": 8}


def number(token: Token, *, negative: bool) -> int | float:
    """Return the value of an `int` or `double` token: int, Uint or float.

    Args:
        token: the token without its sign.
        negative: a minus sign stands before it; so the smallest int can be written.

    Raises:
        CelError: the number does not fit into 64 bits.
    """
    sign = -1 if negative else 1
    if token.kind == "double":
        return _double(token) * sign
    unsigned = token.text[-1] in "uU"
    digits = token.text.rstrip("uU")
    value = _digits(digits)
    if unsigned:
        _check(token, value, MAX_UINT)
        return Uint(value)
    _check(token, value, MAX_INT + negative)
    return value * sign


def _digits(text: str) -> int:
    """Read digits; more of them than 64 bits can hold are cut, as they are refused anyway."""
    return int(text, 16) if text.startswith("0x") else int(text.lstrip("0")[:30] or "0")


def _double(token: Token) -> float:
    value = float(token.text)
    if math.isinf(value):
        raise CelError(token.line, token.column, f"{token.text[:40]} is too large for a double")
    return value


def _check(token: Token, value: int, limit: int) -> None:
    if value > limit:
        raise CelError(
            token.line, token.column, f"{token.text[:40]} is too large; at most {limit} is allowed"
        )


def text(token: Token) -> str | bytes:
    """Return the value of a `string` token: str, or bytes where it has the prefix b.

    Raises:
        CelError: an escape sequence that the language does not have, or that names no
            character.
    """
    prefix = token.text[: len(token.text) - len(token.text.lstrip("bBrR"))].lower()
    body = token.text[len(prefix) :]
    quotes = 3 if body[:3] in {"'''", '"""'} else 1
    body = body[quotes:-quotes].replace("\r\n", "\n").replace("\r", "\n")
    if "b" in prefix:
        return _bytes(body, token, raw="r" in prefix)
    return body if "r" in prefix else _ESCAPE.sub(lambda m: _character(m, token), body)


def _character(match: re.Match[str], token: Token) -> str:
    kind, code = str(match.lastgroup), match[str(match.lastgroup)]
    if kind == "plain":
        return _PLAIN.get(code, code)
    if kind == "wrong":
        raise _refused(match, token, r"use \\ for a backslash, or a raw string r'...'")
    point = int(code, _BASE[kind])
    if point > sys.maxunicode or point in _SURROGATES:
        raise _refused(match, token, "it names no Unicode character")
    return chr(point)


def _bytes(body: str, token: Token, *, raw: bool) -> bytes:
    """In bytes an octal or hexadecimal escape is an octet, and Unicode escapes are refused."""
    if raw:
        return _utf8(body, token)
    out, end = b"", 0
    for match in _ESCAPE.finditer(body):
        out += _utf8(body[end : match.start()], token)
        out += _octet(match, token)
        end = match.end()
    return out + _utf8(body[end:], token)


def _octet(match: re.Match[str], token: Token) -> bytes:
    kind = str(match.lastgroup)
    if kind in {"short", "long"}:
        raise _refused(match, token, r"bytes take \x and octal escapes only")
    return _character(match, token).encode("latin-1")


def _utf8(body: str, token: Token) -> bytes:
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise CelError(
            token.line, token.column, "a lone surrogate can not stand in bytes"
        ) from error


def _refused(match: re.Match[str], token: Token, why: str) -> CelError:
    return CelError(token.line, token.column, f"unknown escape {match.group()!r}: {why}")
