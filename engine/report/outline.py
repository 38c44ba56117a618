"""The neutral form between a report and its renderings: parts made of spans.

Text of a cluster is only ever the text of a span, so that each renderer escapes in one
place and no rendering can forget to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from engine.report.clean import clean_lines, clean_run

_MAX_DIFF = 20_000
_OURS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")


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
class Diff:
    """What would be written or was: unified text, quoted as it is; `rest` lines are left out."""

    text: str
    rest: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_lines(self.text, _MAX_DIFF).rstrip("\n"))


@dataclass(frozen=True, slots=True)
class Link:
    """An address of ours, never one of a cluster; it leads nowhere unless it looks like one."""

    label: str
    url: str

    def __post_init__(self) -> None:
        if not _OURS.fullmatch(self.url):
            object.__setattr__(self, "url", "")


@dataclass(frozen=True, slots=True)
class Card:
    """Parts that belong together, under a badge and a title."""

    tone: Tone
    badge: str
    title: Line
    parts: "tuple[Part, ...]"


_SIGNS = {"+": Tone.GOOD, "-": Tone.HIGH}
Shown: TypeAlias = Items | Command | Diff | Link
Part: TypeAlias = Banner | Heading | Paragraph | Facts | Card | Shown


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


def sign_of(line: str) -> Tone | None:
    """Return the tone of a line of a diff: added, taken away, or neither."""
    return None if line[:3] in {"+++", "---"} else _SIGNS.get(line[:1])


def left_of(diff: Diff) -> str:
    """Return how many lines of `diff` are not shown, in words."""
    return f"… and {diff.rest} more line{'' if diff.rest == 1 else 's'}"


def cut_diff(text: str, lines: int) -> Diff:
    """Return `text` as a diff of at most so many `lines`."""
    found = text.splitlines()
    return Diff("\n".join(found[:lines]), max(0, len(found) - lines))


def joined(lines: Iterable[Line], between: str = ", ") -> Line:
    """Return `lines` as one, with `between` in between."""
    spans: list[Span] = []
    for line in lines:
        if spans and line:
            spans.append(plain(between))
        spans.extend(line)
    return tuple(spans)
