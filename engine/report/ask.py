"""An approval as parts: read in ten seconds, what would change before all else."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from engine.model.change import Risk
from engine.model.delivery import Ask, Delivery, Occasion
from engine.model.report import Evidence, Precondition
from engine.report.clean import clean
from engine.report.depth import Depth, left_out
from engine.report.outline import (
    Banner,
    Command,
    Facts,
    Item,
    Items,
    Line,
    Link,
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
from engine.report.words import (
    CHANGE_RISKS,
    HOLDS,
    UNDO,
    counted,
    instant,
    lasted,
    placed_in,
)

_BULLET = Span("•")
_CHECKS = 10
_MARK = "dogwatch.dev/change"


class _Words(NamedTuple):
    """How a stage of asking is put."""

    subject: str
    question: str
    kicker: str
    otherwise: str
    lines: str
    then: str


_APPROVE = _Words(
    "approve?",
    "Approve?",
    "approval needed",
    "without a decision nothing is changed",
    "What would change",
    "Once it is approved",
)
_REMIND = _APPROVE._replace(
    subject="reminder", question="Still waiting:", kicker="still waits for approval"
)
_CONFIRM = _Words(
    "confirm?",
    "Confirm?",
    "applied; may it stay?",
    "without a word of yours it is rolled back",
    "What was changed",
    "What follows",
)


def ask_parts(delivery: Delivery, ask: Ask, depth: Depth) -> Iterator[Part]:
    """Yield what would change, where, how risky, why now, who decides, and what follows."""
    yield _banner(delivery, ask)
    if ask.more:
        yield from _digest(ask, depth)
        return
    said = tuple(Item(_BULLET, (strong(line),)) for line in told_lines(ask.lines))
    yield Items(said, _words(delivery, ask).lines)
    if ask.diff.strip():
        yield cut_diff(ask.diff, depth.diff)
    yield _facts(_risks(ask))
    yield from _why(ask, depth)
    yield from _checks(ask)
    yield _facts((("Decides", _deciders(ask)), ("So far", _approvals(ask))))
    if ask.then:
        steps = tuple(Item(_BULLET, (plain(said),)) for said in ask.then)
        yield Items(steps, _words(delivery, ask).then)
    yield Link("Open it to decide", ask.url)
    yield Command(f"dogwatch mission approve {ask.change}")
    yield _identity(delivery, ask)


def ask_headline(delivery: Delivery, ask: Ask) -> str:
    """Return the sentence that a notification shows."""
    left = lasted(delivery.at, ask.expires)
    if ask.more:
        return f"{counted(1 + len(ask.more), 'change')} wait for a decision, the first one {left}"
    question = _words(delivery, ask).question
    what = "; ".join(told_lines(ask.lines)[:3])
    return f"{question} {ask.title}. {what}. {risk_words(ask.risk)}; {left} left."


def told_lines(lines: Sequence[str]) -> list[str]:
    """Return `lines` with the mark that dogwatch leaves on what it writes as the last one."""
    return sorted(lines, key=lambda line: _MARK in line)


def risk_words(risk: str) -> str:
    """Return a risk class with what it means: `disruptive: what runs is restarted or moved`."""
    known = risk_of(risk)
    return f"{known}: {CHANGE_RISKS[known][1]}" if known else clean(risk)


def risk_of(risk: str) -> Risk | None:
    """Return the risk class named `risk`; None for a word that is none."""
    return Risk(risk) if risk in set(Risk) else None


def risk_tone(risk: str) -> Tone:
    """Return the tone of a risk class; a word that is none is unknown."""
    known = risk_of(risk)
    return CHANGE_RISKS[known][0] if known else Tone.UNKNOWN


def subject_word(delivery: Delivery, ask: Ask) -> str:
    """Return what the subject of a mail begins with: `approve? disruptive`."""
    asked = _words(delivery, ask).subject
    return asked if ask.more else f"{asked} {clean(ask.risk)}"


def _words(delivery: Delivery, ask: Ask) -> _Words:
    if ask.confirm:
        return _CONFIRM
    return _REMIND if delivery.change is Occasion.REMINDER else _APPROVE


def _banner(delivery: Delivery, ask: Ask) -> Banner:
    words = _words(delivery, ask)
    left = f"{lasted(delivery.at, ask.expires)} left, until {instant(ask.expires)}"
    if ask.more:
        title = f"{counted(1 + len(ask.more), 'change')} wait for a decision"
        return Banner(
            Tone.MEDIUM, (plain(words.kicker),), (plain(title),), (dim(f"the first one: {left}"),)
        )
    kicker = (plain(f"{ask.risk} · {words.kicker}"),)
    note = (dim(f"{left}; {words.otherwise}"),)
    return Banner(risk_tone(ask.risk), kicker, (plain(ask.title),), note)


def _digest(ask: Ask, depth: Depth) -> Iterator[Part]:
    first = f"{ask.title} — {ask.target} in {ask.target.cluster}, {ask.risk} ({ask.change})"
    shown = [first, *ask.more][: depth.episodes]
    entries = tuple(Item(_BULLET, (plain(said),)) for said in shown)
    yield Items(entries, "Waiting, most urgent first")
    rest = 1 + len(ask.more) - len(shown)
    if rest:
        yield Paragraph((dim(f"… and {counted(rest, 'other')}."),))
    yield Command("dogwatch mission list --state waiting")
    yield Link("Open all of them", ask.url)


def _facts(rows: Iterable[tuple[str, Line]]) -> Facts:
    return Facts(tuple(row for row in rows if row[1]))


def _risks(ask: Ask) -> Iterator[tuple[str, Line]]:
    undo = UNDO.get(ask.reversible, ask.reversible)
    reason = f": {ask.why_reversible}" if ask.why_reversible else ""
    yield "Where", placed_in(ask.target)
    yield "Risk", (plain(risk_words(ask.risk)),)
    yield "Undo", (plain(undo + reason),)
    yield "At worst", (plain(ask.blast),) if ask.blast else ()


def _deciders(ask: Ask) -> Line:
    if not ask.groups:
        return (plain("nobody may approve it by the policy in force; it can only be denied"),)
    number = counted(ask.needed, "person", "different people")
    groups = joined(((code(name),) for name in ask.groups), " or ")
    who: Line = (plain(f"{number} of "), *groups)
    if ask.typed:
        who = (*who, plain(", who each type the name "), code(ask.typed))
    if ask.requester and not ask.requester.startswith("rule:"):
        who = (*who, plain("; not "), code(ask.requester), plain(", who asked for it"))
    return who


def _approvals(ask: Ask) -> Line:
    if not ask.approved_by:
        return ()
    missing = ask.needed - len(ask.approved_by)
    said = joined((code(name),) for name in ask.approved_by)
    more = (plain(f"; {missing} more needed"),) if missing > 0 else ()
    return (plain("approved by "), *said, *more)


def _why(ask: Ask, depth: Depth) -> Iterator[Part]:
    if ask.why:
        yield Paragraph((strong("Why now: "), plain(ask.why)))
    if ask.evidence and depth.evidence:
        yield Items(tuple(_read(one) for one in ask.evidence[: depth.evidence]), "Evidence")
        yield from left_out(len(ask.evidence) - depth.evidence, "piece", "pieces")


def _read(item: Evidence) -> Item:
    when = f" · {item.time:%H:%M:%S} UTC" if item.time else ""
    return Item(code(item.id), (plain(item.value),), ((dim(item.source + when),),))


def _checks(ask: Ask) -> Iterator[Part]:
    open_ = [one.name for one in ask.checked if one.holds is None]
    notes = [note for note in ask.notes if not any(name in note for name in open_)]
    found = [*map(check_item, ask.checked), *(Item(_BULLET, (plain(note),)) for note in notes)]
    if found:
        yield Items(tuple(found[:_CHECKS]), "Checked before")
    if len(found) > _CHECKS:
        yield Paragraph((dim(f"… and {len(found) - _CHECKS} more."),))


def check_item(check: Precondition) -> Item:
    """Return a check as an entry: whether it holds, its name, and why."""
    return Item(HOLDS[check.holds], (plain(check.name),), ((dim(check.why),),) if check.why else ())


def _identity(delivery: Delivery, ask: Ask) -> Facts:
    rows: list[tuple[str, Line]] = [
        ("Change", (code(ask.change), dim(" · digest "), code(ask.digest[:12]))),
        ("Mission", (code(delivery.mission),) if delivery.mission else ()),
        ("Rule", (code(delivery.rule),) if delivery.rule else ()),
    ]
    return _facts(rows)
