"""Ranges of days, months and years as Alertmanager writes them: `monday:friday`, `1:5`, `-1`."""

from engine.rules.shapes import Span
from engine.rules.wording import quoted, unknown

_DIGITS = 6


def parse_span(text: str, span: Span) -> tuple[int, int]:
    """Return the first and the last value of the range `text`; one value is both.

    Raises:
        ValueError: `text` is no such range, names a value that there is not, or goes backwards.
    """
    first, colon, last = text.partition(":")
    start = _value(first, span)
    end = _value(last, span) if colon else start
    if (start < 0 < end) or (start > end and (start < 0) is (end < 0)):
        raise ValueError(f"{quoted(text)} goes backwards; write two ranges")
    return start, end


def _value(word: str, span: Span) -> int:
    name = word.strip().lower()
    if name in span.names:
        return span.least + span.names.index(name)
    digits = name.removeprefix("-")
    if not (span.numbers and digits.isascii() and digits.isdigit() and len(digits) < _DIGITS):
        if span.names:
            raise ValueError(unknown(span.noun, word, span.names))
        raise ValueError(f"{quoted(word)} is no {span.noun}; {_bounds(span)}")
    value = int(name)
    if not (span.least <= value <= span.most or (span.negative and -span.most <= value < 0)):
        raise ValueError(f"{quoted(word)} is no {span.noun}; {_bounds(span)}")
    return value


def _bounds(span: Span) -> str:
    back = f", or -{span.most} to -1 counted from the end" if span.negative else ""
    return f"{span.least} to {span.most}{back}"
