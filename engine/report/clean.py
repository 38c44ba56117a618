"""Text from a cluster is data: what could steer a terminal, a client or an eye is taken out."""

import re
import unicodedata

LIMIT = 2000
"""Characters of one value that a person is shown."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor moves
    r"|\x1b[\]PX^_\\]"  # ends of a string (title, link): what it holds is shown
    r"|\x1b[ -/]*[0-~]?"
)
_BLANKS = re.compile(r"\s+")
_HIDDEN = {"Cc": "", "Cf": "", "Cs": "\ufffd", "Co": "\ufffd", "Zl": "\n", "Zp": "\n"}
_LOOKALIKE_BLANKS = str.maketrans(dict.fromkeys("\u115f\u1160\u2800\u3164\uffa0", " "))


def clean_lines(text: str, limit: int = LIMIT) -> str:
    r"""Return `text` without escape sequences, control, zero-width and bidi characters.

    Line breaks stay, as `\n`; tabs become spaces; what is longer than `limit` characters
    ends in an ellipsis.
    """
    text = text[: 4 * limit]
    if not (text.isascii() and text.isprintable()):
        text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
        text = _ESCAPES.sub("", text).translate(_LOOKALIKE_BLANKS)
        text = "".join(_visible(char) for char in text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clean_run(text: str, limit: int = LIMIT) -> str:
    """Return `text` as `clean_lines` does, on one line: each run of blanks is one space."""
    return _BLANKS.sub(" ", clean_lines(text, limit))


def clean(text: str, limit: int = LIMIT) -> str:
    """Return `text` as `clean_run` does, without blanks at its ends."""
    return clean_run(text, limit).strip()


def _visible(char: str) -> str:
    if char == "\n":
        return char
    return _HIDDEN.get(unicodedata.category(char), char)
