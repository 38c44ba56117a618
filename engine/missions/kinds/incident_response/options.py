"""Remediation options of one incident, the least risky first; proposals only."""

from collections.abc import Sequence
from typing import Final

from engine.analysis.cluster_view import ClusterView
from engine.analysis.text import clean
from engine.missions.kinds.incident_response.blame import place_of
from engine.missions.kinds.incident_response.hypotheses import Ranked
from engine.missions.kinds.incident_response.remedy import (
    REMEDIES,
    Target,
    targets_of,
)
from engine.missions.kinds.incident_response.templated import edits, preconditions, source_patch
from engine.model.ids import digest
from engine.model.report import ObjectRef, ProposedChange

_RISKS: Final = ("low", "medium", "high")
_TARGETS = 3
_KEPT = 8


def options(view: ClusterView, ranked: Sequence[Ranked]) -> list[ProposedChange]:
    """Return what could be done about an incident: by risk, then by rank of its hypothesis.

    An option whose own precondition says that there is nothing to do it with (no previous
    revision to roll back to) is left out.
    """
    found: dict[str, ProposedChange] = {}
    for one in ranked:
        struck = list({place_of(b.group.object): b.group.object for b in one.explains}.values())
        for word in one.cause.remedies:
            remedy = REMEDIES[word]
            pods = [ref for b in one.explains for ref in b.group.members if ref.kind == "Pod"]
            aims = pods if remedy.aim == "pod" else targets_of(remedy, one.cause.object, struck)
            for ref in aims[:_TARGETS]:
                option = _option(view, word, ref, one)
                if option is not None:
                    found.setdefault(option.id, option)
    ordered = sorted(found.values(), key=lambda option: _RISKS.index(option.risk))
    return ordered[:_KEPT]


def _option(view: ClusterView, word: str, ref: ObjectRef, one: Ranked) -> ProposedChange | None:
    remedy = REMEDIES[word]
    target = Target(view, ref, one.cause.key)
    checks = preconditions(target, remedy)
    if word == "rollback" and checks[0].holds is False:
        return None
    made = edits(target, remedy)
    if word == "delete-pod" and not made:
        return None
    command = source_patch(target, made) or (remedy.command(target) if remedy.command else "")
    return ProposedChange(
        id="c-" + digest([word, *place_of(ref)])[:16],
        operation=word,
        target=ref,
        title=clean(remedy.title.format(ref)),
        risk=remedy.risk,
        reversible=remedy.reversible,
        command=clean(command, 500),
        preconditions=checks,
        findings=[b.group.finding.id for b in one.explains],
        template=remedy.template if made else "",
        params=remedy.params(target) if made else {},
    )
