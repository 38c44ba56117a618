"""Ranked hypotheses of an incident's cause; each score is the sum of terms that are printed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.analysis.change import Change
from engine.analysis.symptom import Cause
from engine.missions.kinds.incident_response.blame import Blamed, place_of
from engine.missions.kinds.incident_response.peers import COMPARED, Peer
from engine.model.report import Evidence, Hypothesis, ObjectRef, Term

WINDOW: Final = timedelta(hours=2)
WEIGHTS: Final = {
    "time": 0.15,
    "distance": 0.15,
    "specificity": 0.3,
    "share": 0.2,
    "independence": 0.1,
    "peers": 0.1,
}
_LIKELY: Final = 0.6
_SPECIFIC: Final = 0.7
_INDEPENDENT: Final = 2
_ENOUGH: Final = 3
_KEPT: Final = 5

# Which parts of a template can bring about which causes; `""` stands for any other cause.
_IMAGE: Final = frozenset({"image", "command", "args"})
_CONFIG: Final = frozenset({"env", "envFrom", "volumes", "volumeMounts", "command", "args"})
TOUCHES: Final = {
    "memory-limit": frozenset({"resources.limits.memory", "resources.requests.memory", "image"}),
    "memory-without-limit": frozenset({"resources.limits.memory", "image"}),
    "liveness-kill": frozenset({"livenessProbe", "ports", "image"}),
    "startup-kill": frozenset({"startupProbe", "ports", "image"}),
    "config-missing": _CONFIG,
    "config-key-missing": _CONFIG,
    "env-missing": _CONFIG | {"image"},
    "runs-as-root": frozenset({"image", "securityContext"}),
    "subpath-mount": frozenset({"volumes", "volumeMounts", "image"}),
}


@dataclass(frozen=True)
class Case:
    """One incident before its report: its groups with one root, its changes, its peers."""

    blamed: tuple[Blamed, ...]
    changes: tuple[Change, ...]
    peers: tuple[Peer, ...]

    @property
    def root(self) -> ObjectRef:
        """The object that everything is blamed on."""
        return self.blamed[0].root.cause.object


@dataclass(frozen=True)
class _Candidate:
    """A cause with what speaks for it, before it is scored."""

    cause: Cause
    explains: tuple[Blamed, ...]
    specificity: tuple[float, str]
    time: tuple[float, str]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Ranked:
    """A hypothesis with the cause it was made from and the evidence that it cites."""

    hypothesis: Hypothesis
    cause: Cause
    explains: tuple[Blamed, ...]
    evidence: tuple[Evidence, ...]


def rank(case: Case) -> list[Ranked]:
    """Return what may have caused the incident, the best first, at most five."""
    candidates = [*_from_groups(case), *_from_changes(case)]
    ranked = [Ranked(_scored(case, c), c.cause, c.explains, c.evidence) for c in candidates]
    ranked.sort(key=lambda r: _order(r.hypothesis))
    return ranked[:_KEPT]


def _order(found: Hypothesis) -> tuple[float, str, str, str]:
    return -found.score, found.cause, str(found.object), found.title


def _from_groups(case: Case) -> list[_Candidate]:
    """What checks blame; a cause that another one explains is a symptom, and no candidate."""
    by_cause: dict[tuple[object, ...], list[Blamed]] = defaultdict(list)
    for blamed in case.blamed:
        by_cause[_identity(blamed)].append(blamed)
    own = {_identity(b): None for b in case.blamed if not b.steps} or by_cause
    onset = min((b.group.since for b in case.blamed if b.group.since), default=None)
    found = []
    for identity in own:
        told_by = by_cause[identity]
        cause = told_by[0].group.cause
        speaking = {b.group.finding.id for b in told_by}
        explains = tuple(
            b
            for b in case.blamed
            if b.group.finding.id in speaking or b.root.finding.id in speaking
        )
        sure = max(s.confidence for b in told_by for s in b.group.symptoms)
        since = min((b.group.since for b in told_by if b.group.since), default=None)
        if since is None or onset is None:
            time = (0.5, "when it began is not known")
        elif since <= onset:
            time = (1.0, "it is the first that was seen")
        else:
            time = (0.5, "something else was seen before it")
        proof = {e.id: e for b in told_by for e in b.group.finding.evidence}
        why = f"{told_by[0].group.check} is this sure of it"
        found.append(_Candidate(cause, explains, (sure, why), time, tuple(proof.values())))
    return found


def _identity(blamed: Blamed) -> tuple[object, ...]:
    cause = blamed.group.cause
    return cause.word, place_of(cause.object), cause.key


def _from_changes(case: Case) -> list[_Candidate]:
    """Changes to what the incident stands on: a trigger beside the mechanism."""
    concerned = {case.blamed[0].place: case.blamed}
    for blamed in case.blamed:
        place = place_of(blamed.group.object)
        concerned.setdefault(place, ())
        concerned[place] = (*concerned[place], blamed)
    onset = min((b.group.since for b in case.blamed if b.group.since), default=None)
    found = []
    for change in case.changes:
        struck = concerned.get(place_of(change.object))
        if not struck or onset is None:
            continue
        cause = Cause(change.word, change.object, change.title, remedies=_remedies(change))
        gap = max(onset - change.at, timedelta())
        near = max(0.0, 1 - gap / WINDOW)
        minutes = round(gap.total_seconds() / 60)
        proof = {e.id: e for e in change.evidence}
        proof |= {e.id: e for b in struck for e in b.group.finding.evidence[:2]}
        found.append(
            _Candidate(
                cause,
                tuple({b.group.finding.id: b for b in struck}.values()),
                _relevance(change, struck),
                (round(near, 3), f"it came {minutes} min before the first symptom"),
                tuple(proof.values()),
            )
        )
    return found


def _remedies(change: Change) -> tuple[str, ...]:
    return ("rollback",) if change.word == "rollout" and change.parts else ()


def _relevance(change: Change, struck: Sequence[Blamed]) -> tuple[float, str]:
    if change.word != "rollout":
        return 0.5, "what changed is not known, only that it did"
    if not change.parts:
        return 0.2, "there is no earlier revision to compare with"
    parts = {part.part.split(" ")[0] for part in change.parts}
    words = {blamed.group.cause.word for blamed in struck}
    for word in sorted(words):
        touching = parts & TOUCHES.get(
            word, _IMAGE if word.startswith("image-") else _IMAGE | _CONFIG
        )
        if touching:
            return 0.85, f"it changed {', '.join(sorted(touching))}, which can lead to {word}"
    return 0.3, f"it changed {', '.join(sorted(parts))}, which explains none of the symptoms"


def _scored(case: Case, candidate: _Candidate) -> Hypothesis:
    steps = [b.steps for b in candidate.explains]
    mean = sum(steps) / len(steps) if steps else 0.0
    symptoms = sum(len(b.group.symptoms) for b in candidate.explains)
    total = sum(len(b.group.symptoms) for b in case.blamed)
    independent = len({_origin(e) for e in candidate.evidence})
    values = {
        "time": candidate.time,
        "distance": (1 / (1 + mean), f"{mean:.1f} steps from the symptoms on average"),
        "specificity": candidate.specificity,
        "share": (symptoms / total, f"explains {symptoms} of {total} symptoms"),
        "independence": (
            min(independent, _ENOUGH) / _ENOUGH,
            f"{independent} independent kinds of evidence",
        ),
        "peers": _peers(case, candidate),
    }
    terms = [
        Term(name=name, weight=WEIGHTS[name], value=round(value, 3), why=why)
        for name, (value, why) in values.items()
    ]
    score = round(sum(term.weight * term.value for term in terms), 3)
    sure = candidate.specificity[0] >= _SPECIFIC and independent >= _INDEPENDENT
    return Hypothesis(
        cause=candidate.cause.word,
        object=candidate.cause.object,
        title=candidate.cause.title,
        score=score,
        verdict="likely" if sure and score >= _LIKELY else "possible",
        explains=[b.group.finding.id for b in candidate.explains],
        terms=terms,
        evidence=[e.id for e in candidate.evidence],
    )


def _origin(item: Evidence) -> tuple[str, str]:
    """Evidence is independent when it was read elsewhere: another origin, or another kind."""
    origin, _, rest = item.source.partition(" ")
    return origin, rest.partition(" ")[0]


def _peers(case: Case, candidate: _Candidate) -> tuple[float, str]:
    blamed = candidate.cause.object
    peer = next((p for p in case.peers if place_of(p.object) == place_of(blamed)), None)
    if blamed.kind not in COMPARED:
        return 0.0, f"a {blamed.kind} is not compared with other clusters"
    if peer is None:
        return 0.0, "no healthy copy in another cluster to compare with"
    return _compared(peer)


def _compared(peer: Peer) -> tuple[float, str]:
    """Return how much a copy speaks for a cause: half where its health is not known."""
    if peer.healthy and peer.parts:
        return 1.0, f"the copy in cluster {peer.cluster} is healthy and differs: {peer.parts[0]}"
    same = "selector and ports" if peer.object.kind == "Service" else "pod template"
    if peer.healthy:
        return 0.0, f"the copy in cluster {peer.cluster} is healthy with the same {same}"
    unsure = "whether it is healthy there is not known"
    if not peer.parts:
        return 0.0, f"cluster {peer.cluster} has the same {same}; {unsure}"
    first = peer.parts[0]
    what = f"{first.part} of {first.container}" if first.container else first.part
    there, here = first.before or "unset", first.after or "unset"
    return 0.5, f"cluster {peer.cluster} has {what} {there} here, not {here}; {unsure}"
