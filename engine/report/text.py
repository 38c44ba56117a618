"""Parts as text of a fixed width: for a terminal, with or without colour, and for mail."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len

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
    Tone,
    dim,
    left_of,
    plain,
    sign_of,
    toned,
)

_TONES = {
    Tone.CRITICAL: "1;31",
    Tone.HIGH: "31",
    Tone.MEDIUM: "33",
    Tone.LOW: "34",
    Tone.INFO: "36",
    Tone.GOOD: "32",
    Tone.UNKNOWN: "35",
}
_FACES = {Face.PLAIN: "", Face.STRONG: "1", Face.CODE: "36", Face.DIM: "2"}
_MIN_WIDTH = 24


@dataclass(frozen=True)
class Page:
    """How lines are set: `width` in terminal cells, colours or none, `spell` of each text."""

    width: int = 100
    colour: bool = False
    spell: Callable[[str], str] = str

    def narrowed(self, by: int) -> "Page":
        """Return a page `by` cells narrower."""
        return replace(self, width=max(_MIN_WIDTH, self.width - by))


def set_parts(parts: Iterable[Part], page: Page) -> str:
    """Return `parts` as lines of at most `page.width` cells, where words are not longer."""
    lines: list[str] = []
    before: Part | None = None
    for part in parts:
        if before is not None and not isinstance(before, Heading):
            lines.append("")
        lines += _set_part(part, page)
        before = part
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _set_part(part: Part, page: Page) -> Iterator[str]:
    match part:
        case Banner():
            yield from _set_banner(part, page)
        case Heading():
            yield from _set_heading(part, page)
        case Paragraph():
            yield from _set_line(part.line, page)
        case Facts():
            yield from _set_facts(part, page)
        case Card():
            yield from _set_card(part, page)
        case _:
            yield from _set_block(part, page)


def _set_block(part: Shown, page: Page) -> Iterator[str]:
    match part:
        case Items():
            yield from _set_items(part, page)
        case Command():
            yield from _set_command(part, page)
        case Diff():
            yield from _set_diff(part, page)
        case Link():
            if part.url:
                yield f"{part.label}: {part.url}"


def _set_banner(banner: Banner, page: Page) -> Iterator[str]:
    kicker = "".join(span.text for span in banner.kicker).upper()
    yield from _set_line((toned(kicker, banner.tone),), page)
    yield from _set_line(tuple(replace(span, face=Face.STRONG) for span in banner.title), page)
    yield from _set_line(banner.note, page)


def _set_heading(heading: Heading, page: Page) -> Iterator[str]:
    title = tuple(replace(span, face=Face.STRONG) for span in heading.title)
    note = (plain("  ["), *heading.note, plain("]")) if heading.note else ()
    yield from _set_line((*title, *note), page)
    yield _paint("─" * page.width, dim("").face, Tone.INFO, page)


def _set_facts(facts: Facts, page: Page) -> Iterator[str]:
    wide = max((len(label) for label, _ in facts.rows), default=0) + 2
    for label, line in facts.rows:
        yield from _hang(dim(label), wide, line, page)


def _set_items(items: Items, page: Page) -> Iterator[str]:
    if items.caption:
        yield from _set_line((dim(items.caption),), page)
    wide = max(cell_len(item.mark.text) for item in items.items) + 2
    for item in items.items:
        yield from _indented(_set_item(item, wide, page.narrowed(2)), "  ")


def _set_item(item: Item, wide: int, page: Page) -> Iterator[str]:
    mark = item.mark if item.mark.face is not Face.PLAIN else replace(item.mark, face=Face.TONE)
    yield from _hang(mark, wide, item.line, page)
    for note in item.notes:
        yield from _indented(_set_line(note, page.narrowed(wide)), " " * wide)


def _set_command(command: Command, page: Page) -> Iterator[str]:
    for number, line in enumerate(command.text.splitlines()):
        yield _paint(("$ " if number == 0 else "  ") + page.spell(line), Face.CODE, Tone.INFO, page)


def _set_diff(diff: Diff, page: Page) -> Iterator[str]:
    bar = _paint("▏", Face.DIM, Tone.INFO, page) + " "
    for line in diff.text.splitlines():
        tone = sign_of(line)
        face = Face.TONE if tone else Face.DIM
        yield bar + _paint(page.spell(line), face, tone or Tone.INFO, page)
    if diff.rest:
        yield bar + _paint(left_of(diff), Face.DIM, Tone.INFO, page)


def _set_card(card: Card, page: Page) -> Iterator[str]:
    bar = _paint("│", Face.TONE, card.tone, page) + " "
    inner = page.narrowed(2)
    yield from _indented(_set_line((toned(card.badge.upper(), card.tone),), inner), bar)
    yield from _indented(_set_line(card.title, inner), bar)
    for part in card.parts:
        if isinstance(part, Items):
            yield bar
        yield from _indented(_set_part(part, inner), bar)


def _hang(mark: Span, wide: int, line: Line, page: Page) -> Iterator[str]:
    """Yield `line` to the right of `mark`, whose column is `wide` cells."""
    text = page.spell(mark.text)
    first = _paint(text, mark.face, mark.tone, page) + " " * max(1, wide - cell_len(text))
    for number, row in enumerate(_set_line(line, page.narrowed(wide)) or ("",)):
        yield (first if number == 0 else " " * wide) + row


def _indented(rows: Iterable[str], by: str) -> Iterator[str]:
    return (by + row for row in rows)


def _set_line(line: Line, page: Page) -> list[str]:
    rows: list[list[Span]] = [[]]
    used = 0
    for word in _words(line, page):
        wide = sum(cell_len(span.text) for span in word)
        if used and used + 1 + wide > page.width:
            rows.append([])
            used = 0
        if used:
            rows[-1].append(plain(" "))
        rows[-1] += word
        used += wide + bool(used)
    return [_painted(row, page) for row in rows if row]


def _words(line: Line, page: Page) -> list[list[Span]]:
    """Return the words of `line`; a word is made of spans that no blank divides."""
    words: list[list[Span]] = [[]]
    for span in line:
        first, *others = page.spell(span.text).split(" ")
        words[-1].append(replace(span, text=first))
        words += [[replace(span, text=text)] for text in others]
    kept = ([span for span in word if span.text] for word in words)
    return [word for word in kept if word]


def _painted(row: Iterable[Span], page: Page) -> str:
    alike = groupby(row, key=lambda span: (span.face, span.tone))
    return "".join(
        _paint("".join(span.text for span in spans), face, tone, page)
        for (face, tone), spans in alike
    )


def _paint(text: str, face: Face, tone: Tone, page: Page) -> str:
    look = _TONES[tone] if face is Face.TONE else _FACES[face]
    return f"\x1b[{look}m{text}\x1b[0m" if page.colour and look and text.strip() else text
