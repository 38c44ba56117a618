"""Text from a cluster is data: cleaned, capped and redacted before it enters a report."""

import math
import re
import unicodedata
from collections import Counter
from typing import Any

REDACTED = "[redacted]"
LIMIT = 300
_WINDOW = 65_536
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = re.compile(r"\s+")

_KEY = (
    r"(?:[\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|credential|client[_-]?key|auth[_-]?key|session[_-]?id|cookie|dsn)[\w.-]*)"
)
_NAMED = re.compile(
    rf"(?i)(\b{_KEY}[\"']?(?:\s*=\s*|:\s*))(?!\[redacted(?: [0-9a-f]{{1,16}})?\])"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"'}\])]+)"
)
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"),
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),
    re.compile(
        r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abposr]-|xapp-|npm_|pypi-|hf_|dop_v1_)[\w-]{8,}"
    ),
    re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|ant|proj)?[-_]?[\w-]{12,}"),
    re.compile(r"\bAIza[\w-]{20,}"),
    re.compile(r"\bSG\.[\w-]{10,}\.[\w-]{10,}"),
    re.compile(r"https://hooks\.slack\.com/\S+"),
)
_BEARER = re.compile(
    r"(?i)\b(authorization\s*[:=]\s*(?:\w+\s+)?|bearer\s+|basic\s+(?=[\w+/]{8}))"
    r"(?!\w+ \[redacted\])[\w+/=._~-]{4,}"
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,100}):[^\s@]+@")
_TOKEN = re.compile(r"[A-Za-z0-9_+-]{20,}={0,2}")
_MIXED = 2
_BARE_HEX = re.compile(r"(?<![\w:/@.-])[0-9a-f]{32,}(?![\w-])")
_MIN_BITS = 3.6
# A line without any of these holds no secret that the patterns above would find.
_HINT = re.compile(
    r"(?i)[a-z0-9_+-]{16,}|passw|pwd|secret|token|key|credential|session|cookie|dsn"
    r"|authorization|bearer|basic|://|eyJ|xox|gh[pousr]_|glpat|npm_|pypi-|hf_|dop_|[spr]k[-_]|SG\."
)


def clean(value: Any, limit: int = LIMIT) -> str:
    """Return `value` as one line fit for a report.

    Control, zero-width and bidi characters are dropped, line ends and runs of spaces become
    one space, secrets are redacted, and what is longer than `limit` characters ends in an
    ellipsis. Anything but text, a number or a boolean gives an empty text.
    """
    if not isinstance(value, str | int | float):
        return ""
    line = redact(_visible(_window(str(value))))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def redact(line: str) -> str:
    """Return `line` with what looks like a secret replaced by `[redacted]`.

    Found by the name of its key, by the shapes of well-known credentials, by the password
    part of a URL, and by entropy; names of objects, UUIDs, digests of images stay.
    """
    if not _HINT.search(line):
        return line
    for shape in _SHAPES:
        line = shape.sub(REDACTED, line)
    line = _USERINFO.sub(rf"\1:{REDACTED}@", line)
    line = _BEARER.sub(rf"\1{REDACTED}", line)
    line = _NAMED.sub(rf"\1{REDACTED}", line)
    line = _BARE_HEX.sub(REDACTED, line)
    return _TOKEN.sub(_random_token, line)


def printable(value: Any, limit: int = 1000) -> Any:
    """Return plain JSON with every text in it cut and free of hidden characters."""
    if isinstance(value, str):
        return value if value.isprintable() and len(value) <= limit else _visible(value[:limit])
    if isinstance(value, dict):
        return {printable(key, limit): printable(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item, limit) for item in value]
    return value


def _window(text: str) -> str:
    """Cut an endless text at a word, so that no half of a secret slips through."""
    if len(text) <= _WINDOW:
        return text
    head = text[:_WINDOW]
    return head.rpartition(" ")[0] or head[: _WINDOW // 2]


def _visible(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_shown, text))
    return _SPACES.sub(" ", text).strip()


def _shown(char: str) -> str:
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in _HIDDEN else char


def _random_token(found: re.Match[str]) -> str:
    token = found.group()
    mixed = all(
        sum(is_kind(c) for c in token) >= _MIXED
        for is_kind in (str.isupper, str.islower, str.isdigit)
    )
    return REDACTED if mixed and _bits(token) >= _MIN_BITS else token


def _bits(token: str) -> float:
    """Return the Shannon entropy of `token` in bits a character."""
    size = len(token)
    return -sum(n / size * math.log2(n / size) for n in Counter(token).values())
