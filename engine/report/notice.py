"""A delivery as parts: an opening is short, an end says what proves it, a result leads."""

from collections.abc import Iterator, Mapping

from engine.model.delivery import Delivery, Occasion
from engine.model.report import Report
from engine.report.applied import applied_parts, change_headline, change_parts, state_words
from engine.report.ask import ask_headline, ask_parts, subject_word
from engine.report.causes import hypothesis_card
from engine.report.clean import clean
from engine.report.content import (
    advice_parts,
    cluster_parts,
    identity,
    impact_of,
    lead_parts,
    next_parts,
    option_parts,
    verdict,
    worst_of,
)
from engine.report.depth import Depth, left_out
from engine.report.episodes import episode_parts, news_of, tally_of
from engine.report.inert import brief
from engine.report.outline import (
    Banner,
    Facts,
    Heading,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    Tone,
    code,
    dim,
    joined,
    plain,
    toned,
)
from engine.report.unknowns import unknown_parts
from engine.report.words import (
    ENDED_BY,
    FIRED_BY,
    counted,
    instant,
    lasted,
    measured,
    named,
    placed,
    tone_of,
)

MAIL = Depth(5, 3, 20, 5, 8, 0, 3, 6, 30, 60)
CHAT = Depth(3, 2, 0, 3, 4, 0, 2, 3, 10, 24)
_ALSO = {"likely": "likely as well", "possible": "possible, not shown to be the cause"}
_SUBJECT = 140
_HEADLINE = 300


def delivery_parts(delivery: Delivery, depth: Depth = MAIL) -> Iterator[Part]:
    """Yield the parts of `delivery`, as its change and its report ask for."""
    if delivery.ask is not None:
        yield from ask_parts(delivery, delivery.ask, depth)
    elif delivery.applied is not None:
        yield from change_parts(delivery, delivery.applied, depth)
    elif delivery.episodes:
        yield from _shared(delivery, depth)
    elif delivery.change is Occasion.RESOLVE:
        yield from _resolve(delivery)
    elif delivery.report is not None:
        yield from _result(delivery, delivery.report, depth)
    else:
        yield from _fire(delivery)


def subject(delivery: Delivery) -> str:
    """Return one line of at most 140 characters: how grave, and what."""
    word = _subject_word(delivery)
    going_on = "still firing: " if delivery.change is Occasion.REPEAT else ""
    count = f" ({tally_of(delivery)})" if delivery.episodes else ""
    title = clean(delivery.title or delivery.rule, _SUBJECT - len(count))
    return brief(f"[{word}] {going_on}{title}{count}", _SUBJECT)


def _subject_word(delivery: Delivery) -> str:
    if delivery.ask is not None:
        return subject_word(delivery, delivery.ask)
    if delivery.applied is not None:
        return state_words(delivery.applied.state)[1]
    if delivery.change is Occasion.RESOLVE:
        return "resolved"
    if delivery.report is not None and not delivery.report.incidents:
        return delivery.report.outcome.value
    return clean(delivery.severity)


def headline(delivery: Delivery) -> str:
    """Return the sentence that a person reads first, in a notification or a preview."""
    if delivery.ask is not None:
        return brief(ask_headline(delivery, delivery.ask), _HEADLINE)
    if delivery.applied is not None:
        return brief(change_headline(delivery.applied), _HEADLINE)
    return brief(_headline(delivery), _HEADLINE)


def _headline(delivery: Delivery) -> str:
    if delivery.episodes:
        return f"{delivery.title}: {tally_of(delivery)}. {news_of(delivery)}".rstrip()
    if delivery.change is Occasion.RESOLVE:
        return f"Resolved{_for(delivery)}: {delivery.title}"
    if delivery.report is not None:
        return _lead(delivery.report) or delivery.title
    going_on = f"Still firing{_for(delivery)}: " if delivery.change is Occasion.REPEAT else ""
    return f"{going_on}{delivery.title}. {_said(delivery)}"


def _lead(report: Report) -> str:
    causes = (incident.hypotheses[0] for incident in report.incidents if incident.hypotheses)
    cause = next(causes, None)
    return f"{cause.verdict.capitalize()} cause: {cause.title}" if cause else report.summary


def _fire(delivery: Delivery) -> Iterator[Part]:
    tone = tone_of(delivery.severity)
    repeats = delivery.change is Occasion.REPEAT
    word = f"still firing{_for(delivery)}" if repeats else "firing"
    kicker = (plain(f"{delivery.severity} · {word}"),)
    since = delivery.since or delivery.at
    yield Banner(tone, kicker, (plain(delivery.title),), (dim(f"since {instant(since)}"),))
    if said := _said(delivery):
        yield Paragraph((plain(said),))
    yield _facts(
        ("Rule", (code(delivery.rule),)),
        ("Where", placed(delivery.group)),
        ("Measured", measured(delivery.value)),
        ("Concerns", _members(delivery)),
        ("Fired by", () if repeats else _why(delivery, FIRED_BY)),
        *_runbook(delivery),
        ("Incident", (code(delivery.incident),)),
    )


def _shared(delivery: Delivery, depth: Depth) -> Iterator[Part]:
    yield from episode_parts(delivery, depth.episodes)
    yield _facts(
        ("Rule", (code(delivery.rule),)),
        ("Where", placed(delivery.group)),
        *_runbook(delivery),
        ("Incident", (code(delivery.incident),)),
    )


def _for(delivery: Delivery) -> str:
    """Return how long it has fired, to go behind a word; empty where that is unknown."""
    return f" after {lasted(delivery.since, delivery.at)}" if delivery.since else ""


def _resolve(delivery: Delivery) -> Iterator[Part]:
    length = _for(delivery)
    kicker = (plain(f"resolved{length}"),)
    note = (dim(f"at {instant(delivery.at)}"),)
    yield Banner(Tone.GOOD, kicker, (plain(delivery.title),), note)
    if not delivery.reason and delivery.text:
        yield Paragraph((plain(delivery.text),))
    yield _facts(
        ("Rule", (code(delivery.rule),)),
        ("Where", placed(delivery.group)),
        ("Began", (plain(instant(delivery.since)),) if delivery.since else ()),
        ("Lasted", (plain(lasted(delivery.since, delivery.at)),) if delivery.since else ()),
        ("Ended by", _why(delivery, ENDED_BY)),
        ("Measured", measured(delivery.value)),
        ("Incident", (code(delivery.incident),)),
    )


def _result(delivery: Delivery, report: Report, depth: Depth) -> Iterator[Part]:
    yield verdict(report)
    yield from lead_parts(report)
    yield from advice_parts(report)
    yield from applied_parts(report.applied, depth)
    yield from _causes(report, depth)
    yield from _other_incidents(report, depth)
    yield from option_parts(report, depth)
    yield from cluster_parts(report)
    yield from unknown_parts(report, depth.unknowns)
    yield from next_parts(report)
    yield Heading((plain("About"),))
    yield _facts(("Where", placed(delivery.group)), *_runbook(delivery), *identity(report).rows)


def _causes(report: Report, depth: Depth) -> Iterator[Part]:
    """Yield the causes of the worst incident: the first whole, the others in a line."""
    if not report.incidents:
        return
    incident = worst_of(report.incidents)
    yield _facts(
        ("Root", named(incident.root)),
        ("Impact", impact_of(incident, report)),
    )
    by_id = {item.id: item for found in report.findings for item in found.evidence}
    first, others = incident.hypotheses[:1], incident.hypotheses[1 : depth.hypotheses]
    for hypothesis in first:
        found = [by_id[id_] for id_ in hypothesis.evidence if id_ in by_id]
        yield hypothesis_card(hypothesis, found, depth, len(incident.findings))
    if not first:
        yield Paragraph((dim("No cause could be told from what was read."),))
    if others:
        yield Items(
            tuple(
                Item(
                    plain(f"{other.score:.2f}"),
                    (plain(other.title), dim(f" ({_ALSO[other.verdict]})")),
                )
                for other in others
            ),
            "Also considered",
        )
    yield from left_out(len(incident.hypotheses) - depth.hypotheses, "possible cause")


def _other_incidents(report: Report, depth: Depth) -> Iterator[Part]:
    ordered = sorted(report.incidents, key=lambda found: found.severity.rank)[1:]
    if not ordered:
        return
    yield Heading((plain("Other incidents"),))
    yield Items(
        tuple(
            Item(
                toned(found.severity.value, tone_of(found.severity)),
                (plain(found.title),),
                ((dim(found.impact),),) if found.impact else (),
            )
            for found in ordered[: depth.incidents]
        )
    )
    if len(ordered) > depth.incidents:
        yield Paragraph((dim(f"… and {len(ordered) - depth.incidents} more."),))


def _said(delivery: Delivery) -> str:
    """Return the rule's own words; the whole text where the measures are not in fields."""
    words = delivery.annotations.get("summary") or delivery.annotations.get("description") or ""
    return words if delivery.value or delivery.members or delivery.reason else delivery.text


def _members(delivery: Delivery) -> Line:
    named = [member for member in delivery.members if member]
    if not named:
        return ()  # metrics and conditions have no names
    shown = joined((code(member),) for member in named[:8])
    rest = max(delivery.member_count, len(delivery.members)) - len(named[:8])
    return (*shown, dim(f" and {counted(rest, 'other')}")) if rest > 0 else shown


def _runbook(delivery: Delivery) -> Iterator[tuple[str, Line]]:
    for name in ("runbook_url", "runbook"):
        if text := delivery.annotations.get(name):
            yield "Runbook", (code(text),)


def _why(delivery: Delivery, words: Mapping[str, str]) -> Line:
    """Return the reason in `words`, or as it is where there are none for it."""
    return (plain(words.get(delivery.reason, delivery.reason)),) if delivery.reason else ()


def _facts(*rows: tuple[str, Line]) -> Facts:
    return Facts(tuple(row for row in rows if row[1]))
