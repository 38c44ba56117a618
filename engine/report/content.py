"""A report as parts: what is said, in which order, and how much of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.model.report import (
    Evidence,
    Finding,
    Hypothesis,
    Incident,
    ObjectRef,
    Precondition,
    ProposedChange,
    Report,
    Term,
)
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
    Tone,
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

BULLET = Span("•")


@dataclass(frozen=True)
class Depth:
    """How much of a report is said: at most so many entries of each list."""

    incidents: int
    hypotheses: int
    terms: int
    evidence: int
    objects: int
    findings: int
    options: int
    unknowns: int


FULL = Depth(100, 10, 20, 20, 12, 20, 50, 100)


def report_parts(report: Report, depth: Depth = FULL) -> Iterator[Part]:
    """Yield the parts of `report`, the verdict first and the identity last."""
    yield verdict(report)
    if report.summary:
        yield Paragraph((plain(report.summary),))
    if report.narrative:
        yield Paragraph((dim("Written by a model: "), plain(report.narrative)))
    for number, incident in enumerate(report.incidents[: depth.incidents], start=1):
        yield from incident_parts(report, incident, number, depth)
    yield from _left_out(len(report.incidents) - depth.incidents, "incident")
    yield from _loose_findings(report, depth)
    yield from option_parts(report, depth)
    yield from unknown_parts(report, depth.unknowns)
    yield from next_parts(report)
    yield identity(report)


def verdict(report: Report) -> Banner:
    """Return the banner: how grave, which mission, and the worst incident or the outcome."""
    tone, sentence = OUTCOMES[report.outcome]
    kicker = f"{report.kind} · {report.outcome}"
    if not report.incidents:
        return Banner(tone, (plain(kicker),), (plain(sentence),), tally(report))
    worst = min(report.incidents, key=lambda incident: incident.severity.rank)
    more = len(report.incidents) - 1
    title: Line = (plain(worst.title),)
    if more:
        title = (*title, plain(f" (and {counted(more, 'more incident')})"))
    kicker = f"{worst.severity} · {kicker}"
    return Banner(tone_of(worst.severity), (plain(kicker),), title, tally(report))


def incident_parts(report: Report, incident: Incident, number: int, depth: Depth) -> Iterator[Part]:
    """Yield one incident: impact, objects, hypotheses with their evidence, findings."""
    severity = toned(incident.severity.value, tone_of(incident.severity))
    yield Heading((plain(f"Incident {number}: {incident.title}"),), (severity,))
    rows: list[tuple[str, Line]] = [
        ("Root", (*named(incident.root), *_in_cluster(incident.root))),
        ("Impact", (plain(incident.impact),)),
        ("Concerns", _objects(incident, depth.objects)),
    ]
    yield Facts(tuple(row for row in rows if row[1] and any(span.text for span in row[1])))
    by_id = {item.id: item for found in report.findings for item in found.evidence}
    for hypothesis in incident.hypotheses[: depth.hypotheses]:
        yield hypothesis_card(hypothesis, by_id, depth, len(incident.findings))
    if not incident.hypotheses:
        yield Paragraph((dim("No cause could be told from what was read."),))
    yield from _left_out(len(incident.hypotheses) - depth.hypotheses, "hypothesis", "hypotheses")
    own = frozenset(incident.findings)
    found = [finding for finding in report.findings if finding.id in own]
    yield from finding_parts(found, "Findings", depth)


def hypothesis_card(
    hypothesis: Hypothesis, by_id: Mapping[str, Evidence], depth: Depth, symptoms: int
) -> Card:
    """Return one possible cause with its evidence and the terms that make its score."""
    likely = hypothesis.verdict == "likely"
    found = [by_id[id_] for id_ in hypothesis.evidence if id_ in by_id]
    parts: list[Part] = [
        Facts((("At", named(hypothesis.object)), ("Score", _score(hypothesis, symptoms))))
    ]
    if depth.terms and hypothesis.terms:
        terms = tuple(_term(term) for term in hypothesis.terms[: depth.terms])
        parts.append(Items(terms, "What makes the score"))
    parts += evidence_parts(found, depth.evidence)
    tone = Tone.HIGH if likely else Tone.UNKNOWN
    return Card(tone, f"{hypothesis.verdict} cause", (strong(hypothesis.title),), tuple(parts))


def evidence_parts(found: Sequence[Evidence], limit: int) -> Iterator[Part]:
    """Yield a list of what was read, where, and when it was true."""
    if found and limit:
        yield Items(tuple(_read(item) for item in found[:limit]), "Evidence")
        yield from _left_out(len(found) - limit, "piece of evidence", "pieces of evidence")


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
    yield from _left_out(sum(map(len, groups[depth.findings :])), "finding")


def option_parts(report: Report, depth: Depth) -> Iterator[Part]:
    """Yield the remediation options, least risk first, with their preconditions."""
    if not report.changes:
        return
    yield Heading((plain("Options"),), (dim("proposals; nothing was changed"),))
    ordered = sorted(report.changes, key=lambda change: RISK_ORDER.index(change.risk))
    for number, change in enumerate(ordered[: depth.options], start=1):
        yield option_card(change, number)
    yield from _left_out(len(ordered) - depth.options, "option")


def option_card(change: ProposedChange, number: int) -> Card:
    """Return one option: what, how, and whether its preconditions hold."""
    parts: list[Part] = []
    if change.command:
        parts.append(Command(change.command))
    if change.preconditions:
        parts.append(Items(tuple(_check(check) for check in change.preconditions), "Only if"))
    badge = f"{change.risk} risk · {UNDO[change.reversible]}"
    title = (strong(f"{number}. {change.title}"),)
    return Card(RISKS[change.risk], badge, title, tuple(parts))


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


def _left_out(count: int, one: str, many: str = "") -> Iterator[Part]:
    if count > 0:
        yield Paragraph((dim(f"… and {counted(count, one, many)} more, in the JSON report."),))


def _in_cluster(obj: ObjectRef) -> Line:
    return (dim(f" in {obj.cluster}"),) if obj.cluster else ()


def _objects(incident: Incident, limit: int) -> Line:
    others = [obj for obj in incident.objects if obj != incident.root]
    if not others or not limit:
        return ()
    rest = incident.object_count - 1 - len(others[:limit])
    more = (dim(f" and {rest} more"),) if rest > 0 else ()
    return (*joined(named(obj) for obj in others[:limit]), *more)


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


def _check(check: Precondition) -> Item:
    return Item(HOLDS[check.holds], (plain(check.name),), ((dim(check.why),),) if check.why else ())
