"""Parts as Markdown: CommonMark, safe where GitHub's autolinks and mentions are on.

Escapes do not stop autolinks and mentions that a host adds after rendering; a code span
does. So every word that could become one is set as code.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from engine.report.inert import ADDRESS_MARK
from engine.report.outline import (
    Banner,
    Card,
    Command,
    Diff,
    Face,
    Facts,
    Heading,
    Item,
    Items,
    Line,
    Link,
    Paragraph,
    Part,
    Shown,
    Span,
    left_of,
)

_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BLOCK_START = re.compile(r"^(\d{0,9})([-+=#.):])")
_ISSUE = re.compile(r"#\w")
_TICKS = re.compile(r"`+")


def set_parts(parts: Iterable[Part]) -> str:
    """Return `parts` as Markdown."""
    blocks = ["\n".join(_set_part(part, 2)) for part in parts]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _set_part(part: Part, level: int) -> Iterator[str]:
    match part:
        case Banner():
            yield f"# {_set_line(part.title)}"
            yield ""
            yield " · ".join(filter(None, (f"**{_set_line(part.kicker)}**", _set_line(part.note))))
        case Heading():
            note = f" ({_set_line(part.note)})" if part.note else ""
            yield f"{'#' * level} {_set_line(part.title)}{note}"
        case Paragraph():
            yield _set_line(part.line)
        case Facts():
            yield from (f"- {label}: {_set_line(line)}" for label, line in part.rows)
        case Card():
            yield from _set_card(part, level)
        case _:
            yield from _set_block(part)


def _set_block(part: Shown) -> Iterator[str]:
    match part:
        case Items():
            yield from _set_items(part)
        case Command():
            yield from _set_fence("sh", part.text)
        case Diff():
            yield from _set_fence("diff", part.text)
            if part.rest:
                yield from ("", left_of(part))
        case Link():
            if part.url:
                yield f"[{_escaped(part.label)}](<{part.url}>)"


def _set_card(card: Card, level: int) -> Iterator[str]:
    yield f"{'#' * (level + 1)} {_set_line(_bare(card.title))}"
    yield ""
    yield f"**{_escaped(card.badge)}**"
    for part in card.parts:
        yield ""
        yield from _set_part(part, level)


def _bare(line: Line) -> Line:
    """Return `line` without strong faces: a title is strong already."""
    return tuple(replace(span, face=Face.PLAIN) for span in line if span.text)


def _set_items(items: Items) -> Iterator[str]:
    if items.caption:
        yield f"{_escaped(items.caption)}:"
        yield ""
    for item in items.items:
        yield from _set_item(item)


def _set_item(item: Item) -> Iterator[str]:
    mark = f"{_set_span(item.mark)} " if item.mark.text != "•" else ""
    notes = "".join(f"  \n  {_set_line(note)}" for note in item.notes)
    yield f"- {mark}{_set_line(item.line)}{notes}"


def _set_fence(language: str, text: str) -> Iterator[str]:
    fence = "`" * max(3, 1 + _longest_ticks(text))
    yield from (f"{fence}{language}", text, fence)


def _set_line(line: Line) -> str:
    text = ""
    for span in line:
        piece = _set_span(span)
        text += " " * (text[-1:] == "`" == piece[:1]) + piece  # runs of ticks must not grow
    return _BLOCK_START.sub(r"\1\\\2", text.strip())


def _set_span(span: Span) -> str:
    text = span.text
    core = text.strip()
    if span.face is Face.CODE:
        core = _coded(core)
    else:
        core = " ".join(_word(word) for word in core.split(" "))
        core = f"**{core}**" if core and span.face in {Face.STRONG, Face.TONE} else core
    before, after = text[:1] == " ", text[-1:] == " "
    return f"{' ' * before}{core}{' ' * (after and bool(core))}"


def _word(word: str) -> str:
    return _coded(word) if ADDRESS_MARK.search(word) or _ISSUE.search(word) else _escaped(word)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text).translate(_ENTITIES)


def _coded(text: str) -> str:
    if not text:
        return ""
    fence = "`" * (1 + _longest_ticks(text))
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)
