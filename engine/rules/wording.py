"""How faults name what was found and what is allowed: short, whatever the input was."""

from collections.abc import Iterable
from typing import Final

from engine.model.errors import nearest

_SHOWN: Final = 48
_LISTED: Final = 40
_COMPARED: Final = 200


def quoted(text: str) -> str:
    """Return `text` in single quotes, cut to 48 characters, control characters escaped."""
    return "'" + short(text) + "'"


def printable(text: str) -> str:
    """Return `text` with control characters and the like escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(text: str) -> str:
    """Return `text` cut to 48 characters, control characters escaped."""
    return printable(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def choices(known: Iterable[str]) -> str:
    """Return the known words as a list in order, at most 40 of them, each cut as in `quoted`."""
    words = [short(word) for word in sorted(known)]
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def guess(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing for a word too long to be a slip.

    Of very many words only those with the same beginning are compared, to bound the time.
    """
    words = [one for one in known if one.isprintable()]
    if len(words) > _COMPARED:
        words = [one for one in words if one[:2] == word[:2]][:_COMPARED]
    return nearest(word, words) if len(word) <= _SHOWN else ""


def unknown(what: str, word: str, known: Iterable[str], *, of: str = "") -> str:
    """Return the sentence about the unknown `word`: what is known, and the nearest guess.

    `what` is what it should have been (field, sink), `of` whose it should be.
    """
    words = list(known)
    owner = f" of {of}" if of else ""
    listed = choices(words) or "none"
    return f"unknown {what} {quoted(word)}{owner}; known: {listed}{guess(word, words)}"
