"""A report as parts: what is said, in which order, and how much of it."""

import re
from collections.abc import Iterator, Sequence

from engine.model.report import (
    Finding,
    Incident,
    ObjectRef,
    ProposedChange,
    Report,
)
from engine.report.applied import applied_parts
from engine.report.ask import check_item
from engine.report.causes import hypothesis_card
from engine.report.depth import FULL, Depth, left_out
from engine.report.outline import (
    Banner,
    Card,
    Command,
    Facts,
    Heading,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    Span,
    code,
    dim,
    joined,
    plain,
    strong,
    toned,
)
from engine.report.unknowns import unknown_parts
from engine.report.words import (
    HOLDS,
    OUTCOMES,
    RISK_ORDER,
    RISKS,
    UNDO,
    counted,
    named,
    percent,
    tally,
    tone_of,
)

_ADVICE = {
    "skipped": "A model was to advise and was not asked: all here is without it.",
    "failed": "A model was asked and gave no usable answer: all here is without it.",
}
_ANSWERS = {
    "ok": HOLDS[True],
    "partial": HOLDS[None],
    "unreachable": HOLDS[False],
    "forbidden": HOLDS[False],
}
_ANSWERED = {
    "ok": "assessed",
    "partial": "assessed in part",
    "unreachable": "not assessed, it did not answer",
    "forbidden": "not assessed, it may not be read",
}
_AFTER_TITLE = re.compile(r"(?:\s*\((?:likely|possibly)\))?\s*[;.]\s*")
"""How a summary goes on behind the title of an incident, when that stands by itself."""


def report_parts(report: Report, depth: Depth = FULL) -> Iterator[Part]:
    """Yield the parts of `report`, the verdict first and the identity last."""
    yield verdict(report)
    yield from lead_parts(report)
    yield from advice_parts(report)
    yield from applied_parts(report.applied, depth)
    for number, incident in enumerate(report.incidents[: depth.incidents], start=1):
        yield from incident_parts(report, incident, number, depth)
    yield from left_out(len(report.incidents) - depth.incidents, "incident")
    yield from _loose_findings(report, depth)
    yield from option_parts(report, depth)
    yield from cluster_parts(report)
    yield from unknown_parts(report, depth.unknowns)
    yield from next_parts(report)
    yield identity(report)


def verdict(report: Report) -> Banner:
    """Return the banner: how grave, which mission, and the worst incident or the outcome."""
    tone, sentence = OUTCOMES[report.outcome]
    kicker = f"{report.kind} · {report.outcome}"
    if not report.incidents:
        return Banner(tone, (plain(kicker),), (plain(sentence),), tally(report))
    worst = worst_of(report.incidents)
    more = len(report.incidents) - 1
    title: Line = (plain(worst.title),)
    if more:
        title = (*title, plain(f" (and {counted(more, 'more incident')})"))
    kicker = f"{worst.severity} · {kicker}"
    return Banner(tone_of(worst.severity), (plain(kicker),), title, tally(report))


def worst_of(incidents: Sequence[Incident]) -> Incident:
    """Return the severest of `incidents`, the first of several; there is at least one."""
    return min(incidents, key=lambda incident: incident.severity.rank)


def lead_parts(report: Report) -> Iterator[Part]:
    """Yield the summary; where it says the banner's title again, without that."""
    said = report.summary
    worst = worst_of(report.incidents) if report.incidents else None
    if worst is not None and worst.title:
        said = _untitled(said, worst)
    if said:
        yield Paragraph((plain(said),))


def _untitled(summary: str, worst: Incident) -> str:
    before, title, after = summary.partition(worst.title)
    behind = _AFTER_TITLE.match(after)
    if not title or behind is None:
        return summary
    if before.strip():
        return f"{before}the incident above{after}"
    sure = f"Cause: {worst.hypotheses[0].verdict}. " if worst.hypotheses else ""
    rest = after[behind.end() :]
    return f"{sure}{rest[:1].upper()}{rest[1:]}"


def impact_of(incident: Incident, report: Report) -> Line:
    """Return the impact of `incident`, nothing where the summary has said it of the worst."""
    said = incident is worst_of(report.incidents) and incident.impact in report.summary
    return () if said else (plain(incident.impact),)


def incident_parts(report: Report, incident: Incident, number: int, depth: Depth) -> Iterator[Part]:
    """Yield one incident: impact, objects, hypotheses with their evidence, findings."""
    severity = toned(incident.severity.value, tone_of(incident.severity))
    title = f"Incident {number}: {incident.title}"
    if incident is worst_of(report.incidents):  # the banner says its title
        title = f"Incident {number}" if len(report.incidents) > 1 else "Incident"
    yield Heading((plain(title),), (severity,))
    rows: list[tuple[str, Line]] = [
        ("Root", (*named(incident.root), *_in_cluster(incident.root))),
        ("Impact", impact_of(incident, report)),
        ("Concerns", _objects(incident, depth.objects)),
    ]
    yield Facts(tuple(row for row in rows if row[1] and any(span.text for span in row[1])))
    by_id = {item.id: item for found in report.findings for item in found.evidence}
    above: frozenset[str] = frozenset()
    for hypothesis in incident.hypotheses[: depth.hypotheses]:
        found = [by_id[id_] for id_ in hypothesis.evidence if id_ in by_id]
        yield hypothesis_card(hypothesis, found, depth, len(incident.findings), above)
        fresh = [item.id for item in found if item.id not in above]
        above |= frozenset(fresh[: depth.evidence])
    if not incident.hypotheses:
        yield Paragraph((dim("No cause could be told from what was read."),))
    yield from left_out(len(incident.hypotheses) - depth.hypotheses, "hypothesis", "hypotheses")
    own = frozenset(incident.findings)
    yield from finding_parts([one for one in report.findings if one.id in own], "Findings", depth)


def finding_parts(found: Sequence[Finding], caption: str, depth: Depth) -> Iterator[Part]:
    """Yield findings, severest first; those that say the same of many objects are one entry."""
    if not found or not depth.findings:
        return
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for finding in sorted(found, key=lambda finding: finding.severity.rank):
        said = (finding.check, finding.title, finding.observed, finding.expected, finding.status)
        alike.setdefault((finding.severity.value, *said), []).append(finding)
    groups = list(alike.values())
    shown = tuple(_findings(group, depth) for group in groups[: depth.findings])
    yield Items(shown, caption)
    yield from left_out(sum(map(len, groups[depth.findings :])), "finding")


def option_parts(report: Report, depth: Depth) -> Iterator[Part]:
    """Yield the remediation options, least risk first, with their preconditions."""
    if not report.changes:
        return
    yield Heading(
        (plain("Options"),),
        (dim("proposals" if report.applied else "proposals; nothing was changed"),),
    )
    ordered = sorted(report.changes, key=lambda change: RISK_ORDER.index(change.risk))
    for number, change in enumerate(ordered[: depth.options], start=1):
        yield option_card(change, number)
    yield from left_out(len(ordered) - depth.options, "option")


def option_card(change: ProposedChange, number: int) -> Card:
    """Return one option: what, how, and whether its preconditions hold."""
    parts: list[Part] = []
    if change.command:
        parts.append(Command(change.command))
    if change.preconditions:
        parts.append(Items(tuple(check_item(check) for check in change.preconditions), "Only if"))
    badge = f"{change.risk} risk · {UNDO[change.reversible]}"
    title = (strong(f"{number}. {change.title}"),)
    return Card(RISKS[change.risk], badge, title, tuple(parts))


def advice_parts(report: Report) -> Iterator[Part]:
    """Yield what a model wrote, marked as such, or why it wrote nothing though it was asked."""
    if report.narrative:
        yield Paragraph((dim("Written by a model: "), plain(report.narrative)))
    elif report.advice in _ADVICE:
        yield Paragraph((dim(_ADVICE[report.advice]),))


def cluster_parts(report: Report) -> Iterator[Part]:
    """Yield how each cluster answered, where several were asked or one did not answer whole."""
    found = report.per_cluster
    if len(found) > 1 or set(found.values()) - {"ok"}:
        yield Heading((plain("Clusters"),))
        yield Items(
            tuple(
                Item(_ANSWERS[state], (code(name), dim(f": {_ANSWERED[state]}")))
                for name, state in sorted(found.items())
            )
        )


def next_parts(report: Report) -> Iterator[Part]:
    """Yield the missions worth running next."""
    if report.next:
        yield Heading((plain("Next"),))
        yield Items(
            tuple(
                Item(Span("→"), (strong(step.kind), plain(f": {step.reason}")))
                for step in report.next
            )
        )


def identity(report: Report) -> Facts:
    """Return the ids that lead from this report back to its cause."""
    snapshots = joined(
        (plain(f"{name} "), code(digest[:12])) for name, digest in sorted(report.clusters.items())
    )
    rows: list[tuple[str, Line]] = [
        ("Mission", (code(report.run_id),) if report.run_id else ()),
        ("Rule", (code(report.rule),) if report.rule else ()),
        ("Caused by", (code(report.cause),) if report.cause else ()),
        ("Snapshot", snapshots),
    ]
    return Facts(tuple(row for row in rows if row[1]))


def _loose_findings(report: Report, depth: Depth) -> Iterator[Part]:
    grouped = {id_ for incident in report.incidents for id_ in incident.findings}
    loose = [finding for finding in report.findings if finding.id not in grouped]
    if loose and depth.findings:
        yield Heading((plain("Other findings" if grouped else "Findings"),))
        yield from finding_parts(loose, "", depth)


def _in_cluster(obj: ObjectRef) -> Line:
    return (dim(f" in {obj.cluster}"),) if obj.cluster else ()


def _objects(incident: Incident, limit: int) -> Line:
    others = [obj for obj in incident.objects if obj != incident.root]
    if not others or not limit:
        return ()
    rest = incident.object_count - 1 - len(others[:limit])
    more = (dim(f" and {rest} more"),) if rest > 0 else ()
    return (*joined(named(obj) for obj in others[:limit]), *more)


def _findings(group: Sequence[Finding], depth: Depth) -> Item:
    """Return one entry for findings that differ in their objects and evidence only."""
    first = group[0]
    objects = joined(_concerned(finding) for finding in group[: depth.objects])
    rest = len(group) - depth.objects
    more: Line = (dim(f" and {rest} more"),) if rest > 0 else ()
    proof = dict.fromkeys(item.id for finding in group for item in finding.evidence)
    shown = ", ".join(list(proof)[: depth.evidence])
    status = "" if first.status == "fail" else f" · {first.status}"
    sure = percent(min(finding.confidence for finding in group))
    return Item(
        toned(first.severity.value, tone_of(first.severity)),
        (plain(f"{first.title}: "), *objects, *more),
        (
            (plain(f"{first.observed}; expected: {first.expected}"),),
            (dim(f"{first.check} · evidence {shown} · {sure} sure{status}"),),
        ),
    )


def _concerned(finding: Finding) -> Line:
    where = finding.container or finding.path
    return (*named(finding.object), *((plain(" "), code(where)) if where else ()))
