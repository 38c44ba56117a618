"""Which options of a report become changes, in which clusters first, and whom to ask. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, cast

from engine.missions.notices import Route, notices
from engine.missions.registry import MissionKind
from engine.model.change import Draft, change_id
from engine.model.change_row import Approval, ChangeRow, Mode
from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.mission import MissionRow
from engine.model.report import Finding, Incident, ObjectRef, ProposedChange, Report
from engine.report.words import RISK_ORDER
from engine.rules.rule import Rule

MOST_IN_CLUSTER: Final = 3
"""Changes of one phase in one cluster."""
MOST: Final = 10
"""Changes of one phase in all."""
_PROOF: Final = 5
"""Pieces of evidence that people are shown who are asked."""
Place = tuple[str, str, str, str]


def changeable(
    report: Report, kind: MissionKind, clusters: frozenset[str] | None
) -> tuple[Report, tuple[str, ...]]:
    """Return `report` with the options that can be done, and the clusters of those that cannot.

    `clusters` are those where changes can be made, None for all.
    """
    able = [one for one in report.changes if one.template in kind.changes]
    if clusters is None:
        return report.model_copy(update={"changes": able}), ()
    there = [one for one in able if one.target.cluster in clusters]
    barred = {one.target.cluster for one in able} - clusters
    return report.model_copy(update={"changes": there}), tuple(sorted(barred))


def drafts(
    mission: MissionRow, kind: MissionKind, report: Report, rows: Sequence[ChangeRow]
) -> list[Draft]:
    """Return what `mission` proposes in this phase; none: there is nothing more to try.

    For each incident it is the least risky option that a template of the kind can do, of which
    no precondition fails, and that was not tried for the same object before in this mission.
    Clusters come in waves (one, a quarter, the rest); a wave begins once all before it is
    verified.

    Args:
        mission: the mission, at the phase that proposes.
        kind: its kind.
        report: what it found in this phase, with the options that can be done.
        rows: the changes of the phases before.
    """
    if mission.mode == "report" or mission.phase >= kind.phases:
        return []
    if mission.mode == "plan" and rows:
        return []
    by_cluster: dict[str, list[ProposedChange]] = {}
    for option in _options(mission, report, rows):
        by_cluster.setdefault(option.target.cluster, []).append(option)
    chosen = [
        option
        for name in wave(sorted(by_cluster), rows)
        for option in by_cluster[name][:MOST_IN_CLUSTER]
    ]
    return [_draft(mission, option, report) for option in chosen[:MOST]]


def wave(clusters: Sequence[str], rows: Sequence[ChangeRow]) -> tuple[str, ...]:
    """Return which of `clusters`, that have something to change, are changed in this phase.

    Those where it was begun go on; others follow only where all that was begun is verified.
    """
    begun = {row.draft.target.cluster for row in rows}
    again = [name for name in clusters if name in begun]
    fresh = [name for name in clusters if name not in begun]
    every = len(begun) + len(fresh)
    if not begun:
        return tuple(fresh[:1])
    standing = _standing(rows)
    done = {row.draft.target.cluster for row in standing}
    if done != begun or any(row.state is not ChangeState.VERIFIED for row in standing):
        return tuple(again)
    quarter = max(1, every // 4) if len(begun) == 1 else every
    return tuple(sorted([*again, *fresh[:quarter]]))


def change_rows(
    mission: MissionRow, proposed: Sequence[Draft], sinks: Sequence[str], now: datetime
) -> list[ChangeRow]:
    """Return the rows of the drafts, as they are kept at first."""
    return [
        ChangeRow(
            id=draft.id,
            mission=mission.id,
            draft=draft,
            created=now,
            phase=mission.phase,
            rule=mission.rule,
            firing=mission.firing,
            mode=cast("Mode", mission.mode),
            approval=cast("Approval", mission.approval),
            sinks=tuple(sinks),
            requester=mission.requester or (f"rule:{mission.rule}" if mission.rule else ""),
            next_at=now,
        )
        for draft in proposed
    ]


def asked(rule: Rule | None, routes: Sequence[Route]) -> tuple[str, ...]:
    """Return the sinks that hear of changes: of the rule, else of routes that take everything."""
    if rule is not None:
        return tuple(one.sink for one in notices(rule, routes) if Occasion.APPROVAL in one.on)
    open_ = [one for one in routes if not one.match and Occasion.APPROVAL in one.on]
    return tuple(dict.fromkeys(sink for one in open_ for sink in one.sinks))


def _options(
    mission: MissionRow, report: Report, rows: Sequence[ChangeRow]
) -> Iterator[ProposedChange]:
    """Yield the option of each incident that the mission is about, then those of none."""
    tried = {(row.draft.template, _place(row.draft.target)) for row in _standing(rows)}
    spent = {_place(row.draft.target) for row in rows if row.state is ChangeState.NEEDS_HUMAN}
    able = [
        one
        for one in sorted(report.changes, key=lambda one: RISK_ORDER.index(one.risk))
        if (one.template, _place(one.target)) not in tried
        and _place(one.target) not in spent
        and all(check.holds is not False for check in one.preconditions)
    ]
    taken: set[Place] = set()
    for incident in report.incidents:
        own = [one for one in able if {*one.findings} & {*incident.findings}]
        able = [one for one in able if one not in own]
        if not _about(mission, incident):
            continue
        free = [one for one in own if _place(one.target) not in taken]
        for option in free[:1]:
            taken.add(_place(option.target))
            yield option
    for option in able:
        if _place(option.target) not in taken:
            taken.add(_place(option.target))
            yield option


def _standing(rows: Iterable[ChangeRow]) -> list[ChangeRow]:
    """Return the changes that count as tried: what was superseded may be planned anew."""
    return [row for row in rows if row.state is not ChangeState.SUPERSEDED]


def _about(mission: MissionRow, incident: Incident) -> bool:
    """Whether the incident lies where the mission was pointed at.

    A kind may examine more than it is asked about; nobody wants changes there by the way.
    """
    objects = [incident.root, *incident.objects]
    wanted = {name: str(mission.params.get(name) or "") for name in ("cluster", "namespace")}
    return any(
        all(not value or getattr(one, name) == value for name, value in wanted.items())
        for one in objects
    )


def _place(ref: ObjectRef) -> Place:
    return ref.cluster, ref.kind, ref.namespace, ref.name


def _draft(mission: MissionRow, option: ProposedChange, report: Report) -> Draft:
    found = [one for one in report.findings if one.id in option.findings]
    proof = {item.id: item for one in found for item in one.evidence}
    return Draft(
        id=change_id(mission.id, mission.phase, option.template, option.target),
        template=option.template,
        target=option.target,
        params=option.params,
        findings=option.findings,
        title=option.title,
        why=_why(option, report, found),
        evidence=list(proof.values())[:_PROOF],
        kind=mission.kind,
        kind_params=dict(mission.params),
    )


def _why(option: ProposedChange, report: Report, found: Sequence[Finding]) -> str:
    """Return why now: the incident with its impact, or what was found by itself."""
    for incident in report.incidents:
        if {*option.findings} & {*incident.findings}:
            return ". ".join(filter(None, (incident.title, incident.impact)))
    return "; ".join(f"{one.title}: {one.observed}" for one in found[:_PROOF])
