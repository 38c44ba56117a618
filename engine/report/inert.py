"""Text that mail and chat programs do not turn into links or mentions by themselves."""

import re

from engine.report.clean import LIMIT, clean

_TOP = (
    "academy ai app arpa art biz blog bot cc chat ci club cloud co com company design dev digital "
    "edu email finance fun gov group help info ink int io jobs life link live local ltd me media "
    "mil mobi museum name net network news ninja one online org page pro rocks run sh shop site "
    "social software space store studio support systems tech today tools top travel tv uk us "
    "vip website wiki win work world xyz zip zone"
)
"""Top-level domains of more than two letters that clients link, and some of two."""

_LABEL = rf"(?:xn--[\w-]+|[^\W\d_]{{2}}|[^\x00-\x7f][\w-]*|{'|'.join(_TOP.split())})(?![\w-])"
_DOMAIN_DOT = rf"(?<=[^\W_])\.(?={_LABEL})"
_SCHEME = r"(?<=\w):(?=//)|(?<=mailto):|(?<=tel):|(?<=javascript):|(?<=data):"
_AT = r"@(?=\S)"
_WWW = r"(?<=www)\."

ADDRESS_MARK = re.compile(rf"{_SCHEME}|{_AT}|{_WWW}|{_DOMAIN_DOT}", re.IGNORECASE)
"""Matches the one character that makes an address or a mention of the text around it."""


def defanged(text: str) -> str:
    """Return `text` with each dot, colon or at-sign that makes an address in brackets.

    `https://a.example.com` becomes `https[:]//a.example[.]com`: still to be read and put back
    by a person, nothing for a program to link.
    """
    return ADDRESS_MARK.sub(r"[\g<0>]", text)


def spelled(text: str) -> str:
    """Return `text` defanged, in at most LIMIT characters: what a span holds without a cut."""
    said = defanged(text)
    return said if len(said) <= LIMIT else brief(text, LIMIT)


def brief(text: str, limit: int) -> str:
    """Return `text` on one line, defanged, in at most `limit` characters.

    It is cut before it is defanged: a cut could make an address of what was none.
    """
    kept = limit
    while len(said := defanged(clean(text, kept))) > limit:
        kept -= len(said) - limit
    return said
