"""Remediation options of one incident, the least risky first; proposals only."""

from collections.abc import Sequence
from typing import Final

from engine.analysis.cluster_view import ClusterView
from engine.analysis.text import clean
from engine.missions.kinds.incident_response.blame import place_of
from engine.missions.kinds.incident_response.hypotheses import Ranked
from engine.missions.kinds.incident_response.remedy import (
    REMEDIES,
    Remedy,
    Target,
    owner_known,
    targets_of,
)
from engine.model.ids import digest
from engine.model.report import ObjectRef, Precondition, ProposedChange

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
            for ref in targets_of(remedy, one.cause.object, struck)[:_TARGETS]:
                option = _option(view, word, ref, one)
                if option is not None:
                    found.setdefault(option.id, option)
    ordered = sorted(found.values(), key=lambda option: _RISKS.index(option.risk))
    return ordered[:_KEPT]


def _option(view: ClusterView, word: str, ref: ObjectRef, one: Ranked) -> ProposedChange | None:
    remedy = REMEDIES[word]
    checks = _preconditions(view, remedy, ref)
    if word == "rollback" and checks[0].holds is False:
        return None
    target = Target(view, ref, one.cause.key)
    return ProposedChange(
        id="c-" + digest([word, *place_of(ref)])[:16],
        operation=word,
        target=ref,
        title=clean(remedy.title.format(ref)),
        risk=remedy.risk,
        reversible=remedy.reversible,
        command=clean(remedy.command(target), 500) if remedy.command else "",
        preconditions=checks,
        findings=[b.group.finding.id for b in one.explains],
    )


def _preconditions(view: ClusterView, remedy: Remedy, ref: ObjectRef) -> list[Precondition]:
    if remedy.check is not None:
        return remedy.check(view, ref)
    return owner_known(view, ref)
