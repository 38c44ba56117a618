"""Fold symptoms by owner and cause: one finding for all pods of a Deployment that fail alike."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.analysis.cluster_view import ClusterView, Key, key_of_ref
from engine.analysis.symptom import Cause, Symptom
from engine.analysis.text import clean
from engine.missions.kinds.incident_response.assess import Assessment
from engine.model.ids import finding_id
from engine.model.report import Evidence, Finding, ObjectRef, Severity

_SAMPLES = 3
_EVIDENCE = 10


@dataclass(frozen=True)
class Group:
    """Symptoms of one check with one cause under one owner, and the finding they make.

    `members` are the broken objects themselves, in order of name.
    """

    view: ClusterView
    object: ObjectRef
    symptoms: tuple[Symptom, ...]
    members: tuple[ObjectRef, ...]
    finding: Finding

    @property
    def check(self) -> str:
        """The check that spoke."""
        return self.finding.check

    @property
    def cause(self) -> Cause:
        """What that check blames."""
        return self.symptoms[0].cause

    @property
    def since(self) -> datetime | None:
        """The earliest instant at which one of the symptoms was known."""
        return min((s.since for s in self.symptoms if s.since), default=None)


def fold(assessment: Assessment) -> list[Group]:
    """Return the groups of one cluster, in order of their first symptom."""
    view = assessment.view
    owners = {s.object: _owner(view, s.object) for s in assessment.symptoms}
    folded: dict[tuple[object, ...], list[Symptom]] = defaultdict(list)
    for symptom in assessment.symptoms:
        cause = symptom.cause
        key = (
            symptom.check,
            key_of_ref(owners[symptom.object]),
            symptom.container,
            cause.word,
            key_of_ref(cause.object),
            cause.key,
        )
        folded[key].append(symptom)
    return [_group(view, owners[same[0].object], same) for same in folded.values()]


def _owner(view: ClusterView, ref: ObjectRef) -> ObjectRef:
    obj = view.find(ref)
    return view.top(obj) if obj is not None else ref


def _group(view: ClusterView, owner: ObjectRef, same: Sequence[Symptom]) -> Group:
    members: dict[Key, ObjectRef] = {}
    for symptom in same:
        members.setdefault(key_of_ref(symptom.object), symptom.object)
    found = tuple(members.values())
    return Group(view, owner, tuple(same), found, _finding(view, owner, same, found))


def _finding(
    view: ClusterView,
    owner: ObjectRef,
    same: Sequence[Symptom],
    members: Sequence[ObjectRef],
) -> Finding:
    first = same[0]
    return Finding(
        id=finding_id(
            first.check,
            {
                "cluster": owner.cluster,
                **dict(zip(("k", "ns", "n"), key_of_ref(owner), strict=True)),
            },
            "|".join((first.container, first.cause.word, first.cause.key)),
        ),
        check=first.check,
        severity=min((s.severity for s in same), key=lambda severity: severity.rank),
        object=owner,
        container=clean(first.container),
        path=clean(first.path),
        title=_title(view, owner, first, members),
        observed=_observed(first, members),
        expected=clean(first.expected),
        evidence=_evidence(same),
        references=list(first.references),
        confidence=max(s.confidence for s in same),
        status="warn" if first.severity in {Severity.LOW, Severity.INFO} else "fail",
    )


def _title(
    view: ClusterView, owner: ObjectRef, first: Symptom, members: Sequence[ObjectRef]
) -> str:
    if members[0].kind != "Pod" or members[0] == owner:
        return clean(first.title)
    total = max(len(members), len(view.pods_of(owner)))
    return clean(f"{first.title} ({len(members)} of {total} pods)")


def _observed(first: Symptom, members: Sequence[ObjectRef]) -> str:
    if len(members) == 1:
        return clean(first.observed)
    names = ", ".join(ref.name for ref in members[:_SAMPLES])
    more = f" and {len(members) - _SAMPLES} more" if len(members) > _SAMPLES else ""
    return clean(f"{first.observed} (seen in {names}{more})", 500)


def _evidence(same: Sequence[Symptom]) -> list[Evidence]:
    """The evidence of a few symptoms stands for all: the one that says most comes first."""
    telling = sorted(same, key=lambda s: -len(s.evidence))[:_SAMPLES]
    found = {item.id: item for symptom in telling for item in symptom.evidence}
    return list(found.values())[:_EVIDENCE]
