"""What is not known as parts: one entry a reason, with all that it left unknown."""

from collections.abc import Iterable, Iterator, Sequence

from engine.model.report import Report, Unknown
from engine.report.depth import left_out
from engine.report.outline import (
    Heading,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    dim,
    joined,
    plain,
    strong,
)
from engine.report.words import HOLDS, counted

_NAMED = 12
"""How many things, and how many clusters, one entry names."""


def unknown_parts(report: Report, limit: int) -> Iterator[Part]:
    """Yield the coverage, then at most `limit` reasons why something could not be assessed."""
    cover = report.coverage
    note = dim(f"{cover.answered} of {counted(cover.possible, 'check')} answered")
    yield Heading((plain("Not known"),), (note,))
    if not cover.unknowns:
        sentence = "Everything that was asked for could be read."
        missing = cover.possible - cover.answered
        if missing > 0:
            sentence = f"{counted(missing, 'check')} stayed without an answer."
        yield Paragraph((plain(sentence),))
        return
    reasons = _by_reason(cover.unknowns)
    shown = list(reasons.items())[:limit]
    yield Items(tuple(_entry(reason, things) for reason, things in shown))
    left = sum(len(things) for things in list(reasons.values())[limit:])
    yield from left_out(left, "unknown")


def _by_reason(unknowns: Iterable[Unknown]) -> dict[str, dict[str, list[str]]]:
    """Return reason -> thing -> its clusters, each in the order of first mention."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for unknown in unknowns:
        reasons.setdefault(unknown.reason, {}).setdefault(unknown.what, []).append(unknown.cluster)
    return reasons


def _entry(reason: str, things: dict[str, list[str]]) -> Item:
    """Return the entry of `reason`: what is unknown alike in the same clusters is said at once."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for thing, clusters in things.items():
        alike.setdefault(tuple(dict.fromkeys(clusters)), []).append(thing)
    named = joined((_alike(whats, clusters) for clusters, whats in alike.items()), "; ")
    return Item(HOLDS[None], (*named, plain(f": {reason}")))


def _alike(things: Sequence[str], clusters: Sequence[str]) -> Line:
    known = [name for name in clusters if name]
    place: Line = (dim(f" in {_listed(known)}"),) if known else ()
    return (strong(_listed(things)), *place)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
