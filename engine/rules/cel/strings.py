"""Functions of strings: the standard ones and the strings extension of CEL.

Positions count code points. Everything that builds a text pays for it before building.
"""

from typing import Any, Final

from engine.rules.cel.errors import ARGUMENT, NO_OVERLOAD, EvaluationError
from engine.rules.cel.meter import Meter

_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def contains(meter: Meter, text: str, part: str) -> bool:
    """Tell whether `part` occurs in `text`."""
    _search(meter, text, part)
    return part in text


def _search(meter: Meter, text: str, part: str) -> None:
    """Pay for a search; its worst case is linear in both."""
    meter.spend_text(2 * (len(text) + len(part)))


def starts_with(meter: Meter, text: str, part: str) -> bool:
    """Tell whether `text` begins with `part`."""
    meter.spend_text(len(part))
    return text.startswith(part)


def ends_with(meter: Meter, text: str, part: str) -> bool:
    """Tell whether `text` ends with `part`."""
    meter.spend_text(len(part))
    return text.endswith(part)


def concatenate(meter: Meter, left: Any, right: Any) -> Any:
    """Join two strings, or two bytes."""
    meter.spend_text(len(left) + len(right))
    return left + right


def lower_ascii(meter: Meter, text: str) -> str:
    """Return `text` with A to Z in lower case, and nothing else changed."""
    meter.spend_text(16 * len(text))
    return text.translate(_LOWER)


def upper_ascii(meter: Meter, text: str) -> str:
    """Return `text` with a to z in upper case, and nothing else changed."""
    meter.spend_text(16 * len(text))
    return text.translate(_UPPER)


def trim(meter: Meter, text: str) -> str:
    """Return `text` without white space (Unicode's) at its ends."""
    meter.spend_text(4 * len(text))
    return text.strip(_SPACE)


def reverse(meter: Meter, text: str) -> str:
    """Return the code points of `text` from the last to the first."""
    meter.spend_text(len(text))
    return text[::-1]


def replace(meter: Meter, text: str, old: str, new: str) -> str:
    """Replace every `old` by `new`; an empty `old` is found around every character."""
    return replace_some(meter, text, old, new, -1)


def replace_some(meter: Meter, text: str, old: str, new: str, count: int) -> str:
    """Replace the first `count` of `old`, all of them when it is negative."""
    _search(meter, text, old)
    times = text.count(old)
    times = times if count < 0 else min(times, count)
    meter.spend(4 * times)
    meter.spend_text(len(text) + times * len(new))
    return text.replace(old, new, times)


def split(meter: Meter, text: str, separator: str) -> list[str]:
    """Cut `text` at every `separator`; at an empty one, between all characters."""
    return split_some(meter, text, separator, -1)


def split_some(meter: Meter, text: str, separator: str, limit: int) -> list[str]:
    """Cut `text` into at most `limit` parts, without bound when it is negative."""
    _search(meter, text, separator)
    if limit == 0:
        return []
    meter.spend(4 + 4 * (text.count(separator) if separator else len(text)))
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    parts = len(text) if limit < 0 else min(limit, len(text))
    return [*text[: parts - 1], text[parts - 1 :]] if parts else [""]


def join(meter: Meter, parts: list[Any]) -> str:
    """Join a list of strings."""
    return join_with(meter, parts, "")


def join_with(meter: Meter, parts: list[Any], separator: str) -> str:
    """Join a list of strings, with `separator` between them."""
    meter.spend(4 + 2 * len(parts))
    if not all(isinstance(part, str) for part in parts):
        raise EvaluationError(NO_OVERLOAD, "join() takes a list of strings only")
    meter.spend_text(sum(map(len, parts)) + len(parts) * len(separator))
    return separator.join(parts)


def _position(text: str, position: int, function: str) -> int:
    if 0 <= position <= len(text):
        return position
    raise EvaluationError(ARGUMENT, f"{function}: position {position} is outside 0 to {len(text)}")


def char_at(_: Meter, text: str, position: int) -> str:
    """Return the character at `position`; an empty text just behind the last one."""
    start = _position(text, position, "charAt")
    return text[start : start + 1]


def substring(meter: Meter, text: str, start: int) -> str:
    """Return `text` from `start` on."""
    return substring_to(meter, text, start, len(text))


def substring_to(meter: Meter, text: str, start: int, end: int) -> str:
    """Return `text` from `start` up to, not including, `end`."""
    first, last = _position(text, start, "substring"), _position(text, end, "substring")
    if first > last:
        raise EvaluationError(ARGUMENT, f"substring: the end {last} is before the start {first}")
    meter.spend_text(last - first)
    return text[first:last]


def index_of(meter: Meter, text: str, part: str) -> int:
    """Return the first position of `part`, -1 when there is none."""
    _search(meter, text, part)
    return text.find(part)


def index_of_from(meter: Meter, text: str, part: str, start: int) -> int:
    """Return the first position of `part` at or after `start`, -1 when there is none."""
    _search(meter, text, part)
    return text.find(part, _position(text, start, "indexOf"))


def last_index_of(meter: Meter, text: str, part: str) -> int:
    """Return the last position of `part`, -1 when there is none."""
    _search(meter, text, part)
    return text.rfind(part)


def last_index_of_from(meter: Meter, text: str, part: str, start: int) -> int:
    """Return the last position of `part` at or before `start`, -1 when there is none."""
    _search(meter, text, part)
    return text.rfind(part, 0, _position(text, start, "lastIndexOf") + len(part))
