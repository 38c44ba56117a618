"""The neutral form between a report and its renderings: parts made of spans.

Text of a cluster is only ever the text of a span, so that each renderer escapes in one
place and no rendering can forget to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from engine.report.clean import clean_lines, clean_run


class Tone(StrEnum):
    """How grave something is; renderers turn it into a colour."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    GOOD = "good"
    UNKNOWN = "unknown"


class Face(StrEnum):
    """How a span is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"
    DIM = "dim"
    TONE = "tone"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text on one line, clean from its making on."""

    text: str
    face: Face = Face.PLAIN
    tone: Tone = Tone.INFO

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_run(self.text))


Line: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Banner:
    """The verdict, before everything else."""

    tone: Tone
    kicker: Line
    title: Line
    note: Line = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of what follows, with an aside."""

    title: Line
    note: Line = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or two."""

    line: Line


@dataclass(frozen=True, slots=True)
class Facts:
    """Label and value, a pair a row."""

    rows: tuple[tuple[str, Line], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list: `mark` stands before it, `notes` stand below it."""

    mark: Span
    line: Line
    notes: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """A list, with its caption."""

    items: tuple[Item, ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """Something to type: shown as it is, over as many lines as it has."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_lines(self.text))


@dataclass(frozen=True, slots=True)
class Card:
    """Parts that belong together, under a badge and a title."""

    tone: Tone
    badge: str
    title: Line
    parts: "tuple[Part, ...]"


Part: TypeAlias = Banner | Heading | Paragraph | Facts | Items | Command | Card


def plain(text: str) -> Span:
    """Return `text` set as the text around it."""
    return Span(text)


def strong(text: str) -> Span:
    """Return `text` set strong."""
    return Span(text, Face.STRONG)


def code(text: str) -> Span:
    """Return `text` set as something taken from a cluster or to be typed."""
    return Span(text, Face.CODE)


def dim(text: str) -> Span:
    """Return `text` set as an aside."""
    return Span(text, Face.DIM)


def toned(text: str, tone: Tone) -> Span:
    """Return `text` in the colour of `tone`."""
    return Span(text, Face.TONE, tone)


def joined(lines: Iterable[Line], between: str = ", ") -> Line:
    """Return `lines` as one, with `between` in between."""
    spans: list[Span] = []
    for line in lines:
        if spans and line:
            spans.append(plain(between))
        spans.extend(line)
    return tuple(spans)
