"""Possible causes as parts: what makes the score of each, and what was read."""

from collections.abc import Iterator, Sequence

from engine.model.report import Evidence, Hypothesis, Term
from engine.report.depth import Depth, left_out
from engine.report.outline import (
    Card,
    Facts,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    Span,
    Tone,
    code,
    dim,
    joined,
    plain,
    strong,
)
from engine.report.words import counted, named


def hypothesis_card(
    hypothesis: Hypothesis,
    found: Sequence[Evidence],
    depth: Depth,
    symptoms: int,
    above: frozenset[str] = frozenset(),
) -> Card:
    """Return one possible cause with the terms that make its score and its evidence, `found`.

    Evidence whose id is in `above` was told before: its id is enough.
    """
    likely = hypothesis.verdict == "likely"
    parts: list[Part] = [
        Facts((("At", named(hypothesis.object)), ("Score", _score(hypothesis, symptoms))))
    ]
    if depth.terms and hypothesis.terms:
        terms = tuple(_term(term) for term in hypothesis.terms[: depth.terms])
        parts.append(Items(terms, "What makes the score"))
        parts += left_out(len(hypothesis.terms) - depth.terms, "term")
    parts += _evidence(found, depth.evidence, above)
    tone = Tone.HIGH if likely else Tone.UNKNOWN
    return Card(tone, f"{hypothesis.verdict} cause", (strong(hypothesis.title),), tuple(parts))


def _evidence(found: Sequence[Evidence], limit: int, above: frozenset[str]) -> Iterator[Part]:
    """Yield what was read, where, and when it was true; of what stands `above`, the ids."""
    if not limit:
        return
    fresh = [item for item in found if item.id not in above]
    if fresh:
        yield Items(tuple(_read(item) for item in fresh[:limit]), "Evidence")
        yield from left_out(len(fresh) - limit, "piece of evidence", "pieces of evidence")
    told = [item.id for item in found if item.id in above]
    if told:
        rest = len(told) - limit
        more: Line = (dim(f" and {rest} more"),) if rest > 0 else ()
        ids = joined((code(id_),) for id_ in told[:limit])
        label = dim("Also: " if fresh else "Evidence: ")
        yield Paragraph((label, *ids, *more, dim(", as above")))


def _score(hypothesis: Hypothesis, symptoms: int) -> Line:
    explained = f" · explains {len(hypothesis.explains)} of {counted(symptoms, 'finding')}"
    return (strong(f"{hypothesis.score:.2f}"), dim(explained))


def _term(term: Term) -> Item:
    sum_ = Span(f"{term.weight * term.value:+.2f}")
    product = dim(f" ({term.weight:.2f} x {term.value:.2f})")
    return Item(sum_, (strong(term.name), plain(f": {term.why}"), product))


def _read(item: Evidence) -> Item:
    when = f" · {item.time:%H:%M:%S} UTC" if item.time else ""
    return Item(code(item.id), (plain(item.value),), ((dim(item.source + when),),))
