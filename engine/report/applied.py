"""What became of a change as parts: how it ended, what proves it, what is left for a person."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.model.change_state import ChangeState
from engine.model.delivery import Delivery
from engine.model.report import AppliedChange, Precondition
from engine.report.ask import check_item, risk_words, told_lines
from engine.report.clean import clean
from engine.report.depth import Depth, left_out
from engine.report.outline import (
    Banner,
    Card,
    Diff,
    Facts,
    Heading,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    Span,
    Tone,
    code,
    cut_diff,
    dim,
    joined,
    plain,
    strong,
)
from engine.report.words import CHANGE_STATES, PROBES, instant, lasted, placed_in

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BULLET = Span("•")
_STATES = {state.value: words for state, words in CHANGE_STATES.items()}
_PERSON = ChangeState.NEEDS_HUMAN.value


def change_parts(delivery: Delivery, applied: AppliedChange, depth: Depth) -> Iterator[Part]:
    """Yield how a change ended, its checks, and the ids that lead back to its cause."""
    tone, word, meaning = state_words(applied.state)
    yield Banner(
        tone,
        (plain(f"change {word}"),),
        (plain(applied.title),),
        (dim(f"{meaning + ' · ' if meaning else ''}{instant(applied.ended or delivery.at)}"),),
    )
    yield from _told(applied, depth)
    rows: list[tuple[str, Line]] = [
        ("Mission", (code(delivery.mission),) if delivery.mission else ()),
        ("Rule", (code(delivery.rule),) if delivery.rule else ()),
    ]
    yield Facts(tuple(row for row in (*_identity(applied), *rows) if row[1]))


def change_headline(applied: AppliedChange) -> str:
    """Return the sentence that a notification shows."""
    _, word, meaning = state_words(applied.state)
    return f"{word[:1].upper()}{word[1:]}: {applied.title}. {_reason(applied) or meaning}"


def applied_parts(changes: Sequence[AppliedChange], depth: Depth) -> Iterator[Part]:
    """Yield a card of each of the `changes` of a report."""
    if not changes:
        return
    yield Heading((plain("Changes"),), (dim(_tally(changes)),))
    for applied in changes[: depth.options]:
        tone, word, meaning = state_words(applied.state)
        badge = f"{word} · {meaning}" if meaning else word
        yield Card(tone, badge, (strong(applied.title),), tuple(_told(applied, depth)))
    yield from left_out(len(changes) - depth.options, "change")


def state_words(state: str) -> tuple[Tone, str, str]:
    """Return tone, words and meaning of a state of a change; one not known stands as it is."""
    return _STATES.get(state, (Tone.UNKNOWN, clean(state), ""))


def _tally(changes: Sequence[AppliedChange]) -> str:
    counts: dict[str, int] = {}
    for applied in changes:
        word = state_words(applied.state)[1]
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _told(applied: AppliedChange, depth: Depth) -> Iterator[Part]:
    if applied.reason:
        yield Paragraph((strong("Reason: "), plain(_reason(applied))))
    if applied.lines:
        lines = (Item(_BULLET, (plain(line),)) for line in told_lines(applied.lines))
        yield Items(tuple(lines), _caption(applied))
    if applied.objects and applied.state == _PERSON:
        yield from _objects(applied, depth)
    elif applied.diff.strip():
        yield cut_diff(applied.diff, depth.diff)
    yield Facts(tuple(row for row in _facts(applied) if row[1]))
    if applied.checks:
        checks = applied.checks[: depth.findings or depth.unknowns]
        yield Items(tuple(check_item(_worded(one)) for one in checks), "Checks")
        yield from left_out(len(applied.checks) - len(checks), "check")


def _caption(applied: AppliedChange) -> str:
    if applied.applied is None:
        return "What was proposed"
    return "What was changed" if applied.state == ChangeState.VERIFIED else "What was tried"


def _reason(applied: AppliedChange) -> str:
    """Return the reason, without the names of the checks: they stand in the list of them."""
    found = [part.partition(": ") for part in applied.reason.split("; ")]
    return "; ".join(why if name in PROBES else name + colon + why for name, colon, why in found)


def _worded(check: Precondition) -> Precondition:
    return check.model_copy(update={"name": PROBES.get(check.name, check.name)})


def _facts(applied: AppliedChange) -> Iterator[tuple[str, Line]]:
    yield "Where", placed_in(applied.target)
    yield "Risk", (plain(risk_words(applied.risk)),) if applied.risk else ()
    yield "Decided", _decided(applied)
    yield "Applied", _applied(applied)


def _decided(applied: AppliedChange) -> Line:
    if not applied.decided_by:
        return ()
    when = f" at {instant(applied.decided)}" if applied.decided else ""
    return (plain("by "), *joined((code(name),) for name in applied.decided_by), dim(when))


def _applied(applied: AppliedChange) -> Line:
    if applied.applied is None:
        return ()
    took = f", ended after {lasted(applied.applied, applied.ended)}" if applied.ended else ""
    return (plain(f"at {instant(applied.applied)}"), dim(took))


def _objects(applied: AppliedChange, depth: Depth) -> Iterator[Part]:
    """Yield the exact before and after of each object, for who has to go on."""
    for one in applied.objects[: depth.objects]:
        name = clean(str(one.get("object", one.get("name", "object"))))
        yield Heading((plain(name),), (dim("before and after, exactly"),))
        yield _sides(one, depth)
    yield from left_out(len(applied.objects) - depth.objects, "object")


def _sides(one: Mapping[str, Any], depth: Depth) -> Diff:
    """Return each field with its value before and after; what is alike stands once."""
    before, after = (dict(_fields(one.get(side), "")) for side in ("before", "after"))
    rows: list[str] = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            rows.append(f"  {path}: {old}")
            continue
        rows += [f"{sign} {path}: {said}" for sign, said in (("-", old), ("+", new)) if said]
    return cut_diff("\n".join(rows), depth.diff)


def _fields(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and JSON of each leaf of `value`: `spec.replicas`, `3`."""
    pairs: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        named = ((name if _NAME.fullmatch(name) else json.dumps(name), name) for name in value)
        pairs = ((f"{path}.{shown}" if path else shown, value[name]) for shown, name in named)
    elif isinstance(value, list):
        pairs = ((f"{path}[{place}]", one) for place, one in enumerate(value))
    inner = [found for name, one in pairs for found in _fields(one, name)]
    yield from inner or [(path or "object", json.dumps(value, ensure_ascii=False))]


def _identity(applied: AppliedChange) -> Iterator[tuple[str, Line]]:
    digest: Line = (dim(" · digest "), code(applied.digest[:12])) if applied.digest else ()
    yield "Change", (code(applied.id), *digest)
