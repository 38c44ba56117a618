"""From groups of symptoms to incidents: one for each root, with causes, impact and options."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.analysis.change import Change, changes
from engine.analysis.cluster_view import ClusterView
from engine.analysis.doors import Doors
from engine.analysis.text import clean
from engine.missions.kinds.incident_response.blame import Blamed, Place, blame, place_of
from engine.missions.kinds.incident_response.fold import Group
from engine.missions.kinds.incident_response.hypotheses import WINDOW, Case, Ranked, rank
from engine.missions.kinds.incident_response.impact import Impact, impact
from engine.missions.kinds.incident_response.options import options
from engine.missions.kinds.incident_response.peers import COMPARED, Peer, find_peer
from engine.model.ids import digest
from engine.model.report import (
    Evidence,
    Finding,
    Incident,
    ObjectRef,
    ProposedChange,
    Severity,
)

_OBJECTS: Final = 20
_SKEW = timedelta(minutes=1)


@dataclass(frozen=True)
class Diagnosed:
    """One incident with what belongs to it."""

    incident: Incident
    findings: tuple[Finding, ...]
    changes: tuple[ProposedChange, ...]
    impact: Impact

    @property
    def places(self) -> list[ObjectRef]:
        """The objects by which a person may ask for it."""
        own = [finding.object for finding in self.findings]
        return [self.incident.root, *own, *self.impact.objects]


def diagnose(
    groups: Mapping[str, Sequence[Group]], views: Mapping[str, ClusterView]
) -> list[Diagnosed]:
    """Return the incidents of all clusters, the severest first.

    Args:
        groups: cluster -> its groups.
        views: cluster -> its view; those that could not be read are left out.
    """
    sick = frozenset(
        place for found in groups.values() for group in found for place in _places(group)
    )
    diagnosed = []
    for name in sorted(groups):
        view = views[name]
        doors = Doors(view)
        changed = _changes(view, groups[name])
        for blamed in _by_root(groups[name]):
            peers = _peers(blamed, views, sick)
            case = Case(tuple(blamed), _window(changed, blamed), peers)
            diagnosed.append(_diagnosed(view, case, impact(view, doors, blamed)))
    diagnosed.sort(key=_order)
    return diagnosed


def _places(group: Group) -> list[Place]:
    return [place_of(group.object), place_of(group.cause.object)]


def _by_root(groups: Sequence[Group]) -> list[list[Blamed]]:
    """Return the groups by root; a root of which all is minor is no incident."""
    roots: dict[Place, list[Blamed]] = defaultdict(list)
    for blamed in blame(groups):
        roots[blamed.place].append(blamed)
    return [
        found
        for _, found in sorted(roots.items())
        if any(b.group.finding.severity.rank <= Severity.MEDIUM.rank for b in found)
    ]


def _onset(groups: Sequence[Group]) -> datetime | None:
    return min((group.since for group in groups if group.since), default=None)


def _changes(view: ClusterView, groups: Sequence[Group]) -> list[Change]:
    """Return all changes that may matter to any incident of the cluster."""
    onset = _onset(groups)
    return changes(view, onset - WINDOW, view.now) if onset else []


def _window(changed: Sequence[Change], blamed: Sequence[Blamed]) -> tuple[Change, ...]:
    onset = _onset([b.group for b in blamed])
    if onset is None:
        return ()
    return tuple(c for c in changed if onset - WINDOW <= c.at <= onset + _SKEW)


def _peers(
    blamed: Sequence[Blamed], views: Mapping[str, ClusterView], sick: frozenset[Place]
) -> tuple[Peer, ...]:
    owners = {
        place_of(ref): ref
        for b in blamed
        for ref in (b.group.object, b.root.cause.object)
        if ref.kind in COMPARED
    }
    found = (find_peer(owners[place], views, sick) for place in sorted(owners))
    return tuple(peer for peer in found if peer is not None)


def _diagnosed(view: ClusterView, case: Case, struck: Impact) -> Diagnosed:
    ranked = rank(case)
    findings = _cited(case, ranked)
    best = ranked[0]
    severity = min((f.severity for f in findings), key=lambda s: s.rank)
    root = case.root
    incident = Incident(
        id="i-" + digest([*place_of(root)])[:16],
        title=clean(f"{root}: {best.hypothesis.title}", 240),
        root=root,
        severity=severity,
        impact=clean(struck.text, 500),
        objects=list(struck.objects[:_OBJECTS]),
        object_count=len(struck.objects),
        findings=[f.id for f in findings],
        hypotheses=[one.hypothesis for one in ranked],
    )
    proposed = tuple(options(view, ranked))
    return Diagnosed(incident, tuple(findings), proposed, struck)


def _cited(case: Case, ranked: Sequence[Ranked]) -> list[Finding]:
    """Return the findings, severest first, with all evidence that the hypotheses cite.

    What a change or a healthy copy elsewhere proved is added to the first finding that the
    hypothesis explains, so that every cited id can be looked up.
    """
    more: dict[str, dict[str, Evidence]] = defaultdict(dict)
    known = {e.id for b in case.blamed for e in b.group.finding.evidence}
    for one in ranked:
        for item in one.evidence:
            if item.id not in known:
                more[one.explains[0].group.finding.id][item.id] = item
    findings = [_with(b.group.finding, more[b.group.finding.id]) for b in case.blamed]
    return sorted(findings, key=lambda f: (f.severity.rank, -f.confidence, f.check, f.id))


def _with(finding: Finding, more: Mapping[str, Evidence]) -> Finding:
    if not more:
        return finding
    return finding.model_copy(update={"evidence": [*finding.evidence, *more.values()]})


def _order(one: Diagnosed) -> tuple[int, bool, int, str]:
    incident = one.incident
    return incident.severity.rank, not one.impact.user_facing, -incident.object_count, incident.id
