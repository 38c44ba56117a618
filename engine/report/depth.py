"""How much of a report is said, and how many entries were left out."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.report.outline import Paragraph, Part, dim
from engine.report.words import counted


@dataclass(frozen=True)
class Depth:
    """How much of a report is said: at most so many entries of each list, lines of a diff."""

    incidents: int
    hypotheses: int
    terms: int
    evidence: int
    objects: int
    findings: int
    options: int
    unknowns: int
    episodes: int
    diff: int


FULL = Depth(100, 10, 20, 20, 12, 20, 50, 100, 100, 400)


def left_out(count: int, one: str, many: str = "") -> Iterator[Part]:
    """Yield a line that says how many entries are not shown; none where all are."""
    if count > 0:
        yield Paragraph((dim(f"… and {counted(count, one, many)} more, in the JSON report."),))
