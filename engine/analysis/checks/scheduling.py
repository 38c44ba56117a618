"""Pods that no node takes: the scheduler's reasons, held against the nodes themselves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.event import Event
from engine.analysis.field import condition, instant, mapping, mappings, text
from engine.analysis.quantity import show
from engine.analysis.scheduler_text import Verdict, parse
from engine.analysis.scheduling import (
    Amounts,
    Refusal,
    Room,
    refusals,
    requests,
    rooms,
    unjudged,
)
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

NAME = "pod-unschedulable"
GATED = "pod-scheduling-gated"
_NODES_TOLD = 6
_REMEDIES = {
    "insufficient": ("add-capacity", "fix-scheduling"),
    "too-many-pods": ("add-capacity",),
    "taint": ("fix-scheduling", "add-capacity"),
    "cordoned": ("uncordon",),
    "node-affinity": ("fix-scheduling",),
    "node-name": ("fix-scheduling",),
    "pod-anti-affinity": ("add-capacity", "fix-scheduling"),
    "pod-affinity": ("fix-scheduling",),
    "topology-spread": ("fix-scheduling", "add-capacity"),
    "volume-node-affinity": ("fix-storage",),
    "volume-limit": ("add-capacity",),
    "host-port": ("fix-scheduling",),
    "claim-unbound": ("fix-storage",),
    "claim-missing": ("fix-storage",),
    "claim-in-use": ("fix-storage",),
}
_ONLY_SCHEDULER = (
    "claim-missing",
    "claim-unbound",
    "claim-in-use",
    "volume-node-affinity",
    "volume-limit",
    "storage-capacity",
    "pod-anti-affinity",
    "pod-affinity",
    "topology-spread",
    "device",
)


@dataclass(frozen=True, slots=True)
class _Look:
    """One pending pod against every node: its refusals by node, in order of name."""

    asked: Amounts
    by_node: Sequence[tuple[Room, tuple[Refusal, ...]]]

    def fits(self) -> list[str]:
        return [room.name for room, why in self.by_node if not why]

    def binding(self) -> Refusal | None:
        """Return the refusal that alone keeps the pod off most nodes, else the commonest."""
        alone = Counter(why[0] for _, why in self.by_node if len(why) == 1)
        every = Counter(r for _, why in self.by_node for r in why)
        words = Counter((r.word, r.what) for r in (alone or every).elements())
        if not words:
            return None
        word, _ = min(words.items(), key=lambda item: (-item[1], item[0]))
        return min((r for r in (alone or every) if (r.word, r.what) == word), key=lambda r: r.why)

    def freed(self, refusal: Refusal) -> list[str]:
        """Return the nodes that would take the pod without `refusal`."""
        same = (refusal.word, refusal.what)
        return [
            room.name
            for room, why in self.by_node
            if why and {(r.word, r.what) for r in why} == {same}
        ]


def _unschedulable(view: ClusterView) -> Iterator[Found]:
    waiting = [pod for pod in view.of("Pod") if _is_waiting(view, pod)]
    room = rooms(view) if waiting else []
    looks: dict[str, _Look] = {}
    for pod in waiting:
        key = str(view.controller(pod) or view.ref(pod))
        look = looks.get(key)
        if look is None:
            look = looks[key] = _look(pod, room)
        yield _symptom(view, pod, look)


def _is_waiting(view: ClusterView, pod: Object) -> bool:
    if text(pod, "spec", "nodeName") or text(pod, "status", "phase") not in {"", "Pending"}:
        return False
    if text(pod, "metadata", "deletionTimestamp") or mappings(pod, "spec", "schedulingGates"):
        return False
    return text(condition(pod, "PodScheduled"), "status") == "False" or bool(
        view.events_of(pod, "FailedScheduling")
    )


def _look(pod: Object, room: Sequence[Room]) -> _Look:
    spec = mapping(pod, "spec")
    asked = requests(spec)
    return _Look(asked, [(one, tuple(refusals(spec, asked, one))) for one in room])


def _symptom(view: ClusterView, pod: Object, look: _Look) -> Symptom:
    scheduled = condition(pod, "PodScheduled")
    events = view.events_of(pod, "FailedScheduling")
    message = text(scheduled, "message") or (events[-1].message if events else "")
    verdict = parse(message)
    cause = _cause(view, pod, look, verdict, message)
    since = instant(scheduled, "lastTransitionTime") or instant(
        pod, "metadata", "creationTimestamp"
    )
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=view.ref(pod),
        path="status.conditions[PodScheduled]",
        title=f"No node takes it: {cause.title}",
        observed=clean(message) or "pending without a node",
        expected="a node that takes the pod",
        cause=cause,
        evidence=tuple(_evidence(view, pod, look, verdict, events)),
        references=("https://kubernetes.io/docs/concepts/scheduling-eviction/",),
        confidence=_confidence(look, verdict),
        since=since,
    )


def _cause(
    view: ClusterView, pod: Object, look: _Look, verdict: Verdict | None, message: str
) -> Cause:
    """Blame what only the scheduler can judge first, then the constraint that binds."""
    owner = view.workload(pod)
    theirs = next((w for w in _ONLY_SCHEDULER if verdict and verdict.count(w)), "")
    if theirs.startswith("claim"):
        claim = _claim(pod, message)
        blamed = view.named("PersistentVolumeClaim", text(pod, "metadata", "namespace"), claim)
        return Cause(theirs, blamed, f"volume claim {claim} is not usable", "", ("fix-storage",))
    binding = look.binding()
    if theirs and (binding is None or not look.freed(binding)):
        phrase = next(r.phrase for r in verdict.reasons if r.word == theirs) if verdict else theirs
        return Cause(theirs, owner, clean(phrase), "", _REMEDIES.get(theirs, ()))
    if binding is None:
        return Cause("unschedulable", owner, _plain(message), "", ("add-capacity",))
    word = f"insufficient-{binding.what}" if binding.word == "insufficient" else binding.word
    title = _binding_title(look, binding)
    return Cause(clean(word, 60), owner, title, binding.what, _REMEDIES[binding.word])


def _plain(message: str) -> str:
    return clean(message, 160) or "the scheduler gave no reason"


def _claim(pod: Object, message: str) -> str:
    claims = [
        text(volume, "persistentVolumeClaim", "claimName")
        for volume in mappings(pod, "spec", "volumes")
    ]
    named = [claim for claim in claims if claim and f'"{claim}"' in message]
    return next(iter(named or [claim for claim in claims if claim]), "(unnamed)")


def _binding_title(look: _Look, binding: Refusal) -> str:
    freed = look.freed(binding)
    total = len(look.by_node)
    if binding.word == "insufficient":
        need = look.asked[binding.what]
        best = max(look.by_node, key=lambda pair: pair[0].free.get(binding.what, 0))[0]
        left = max(best.free.get(binding.what, look.asked["pods"] * 0), look.asked["pods"] * 0)
        lead = (
            f"{show(binding.what, need)} {binding.what} asked, the most that any node has free "
            f"is {show(binding.what, left)} ({best.name})"
        )
    else:
        lead = {
            "taint": f"taint {binding.what} is not tolerated",
            "cordoned": "the nodes that fit are cordoned",
            "node-affinity": "node selector or affinity matches no node that has room",
            "node-name": f"it names node {binding.what}, which is not that of any node",
            "too-many-pods": "the nodes run as many pods as they may",
            "host-port": f"host port {binding.what} is taken",
        }[binding.word]
    tail = f"; without that it would fit on {len(freed)} of {total} nodes" if freed else ""
    return clean(lead + tail)


def _evidence(
    view: ClusterView,
    pod: Object,
    look: _Look,
    verdict: Verdict | None,
    events: Sequence[Event],
) -> Iterator[Evidence]:
    ref, scheduled = view.ref(pod), condition(pod, "PodScheduled")
    if scheduled:
        when = instant(scheduled, "lastTransitionTime")
        said = text(scheduled, "message") or text(scheduled, "reason")
        yield evidence(Origin.STATUS, ref, "status.conditions[PodScheduled]", said, when)
    for event in events[-1:]:
        yield evidence(Origin.EVENT, ref, "FailedScheduling", event.message, event.last)
    for room, why in look.by_node[:_NODES_TOLD]:
        said = (
            "; ".join(refusal.why for refusal in why) or "nothing that we judge speaks against it"
        )
        yield evidence(Origin.SPEC, view.ref(room.node), "room for the pod", said)
    if differs := _differences(pod, look, verdict):
        yield evidence(Origin.SPEC, ref, "our judgement beside the scheduler's", differs)


def _differences(pod: Object, look: _Look, verdict: Verdict | None) -> str:
    """Return where the scheduler's counts and ours differ, empty where they do not."""
    if verdict is None or not look.by_node:
        return ""
    parts = []
    if verdict.total != len(look.by_node):
        parts.append(
            f"the scheduler saw {verdict.total} nodes, the snapshot has {len(look.by_node)}"
        )
    if fits := look.fits():
        open_ = ", ".join(unjudged(mapping(pod, "spec"))) or "nothing else"
        parts.append(f"by what we judge it fits on {', '.join(fits[:3])}; not judged: {open_}")
    return "; ".join(parts)


def _confidence(look: _Look, verdict: Verdict | None) -> float:
    """High where scheduler and nodes agree, low where only one of them spoke."""
    binding = look.binding()
    if verdict is None or binding is None:
        return 0.5
    return 0.95 if verdict.count(binding.word) else 0.6


def _gated(view: ClusterView) -> Iterator[Found]:
    for pod in view.of("Pod"):
        gates = [text(gate, "name") for gate in mappings(pod, "spec", "schedulingGates")]
        if not gates or text(condition(pod, "PodScheduled"), "reason") != "SchedulingGated":
            continue
        names = clean(", ".join(gates))
        owner = view.workload(pod)
        yield Symptom(
            check=GATED,
            severity=Severity.INFO,
            object=view.ref(pod),
            path="spec.schedulingGates",
            title=f"Held back by scheduling gate {names}",
            observed=names,
            expected="no gate, once its owner lets it go",
            cause=Cause("scheduling-gate", owner, f"gate {names} is not lifted", names),
            evidence=(evidence(Origin.SPEC, view.ref(pod), "spec.schedulingGates", names),),
            since=instant(pod, "metadata", "creationTimestamp"),
        )


CHECKS = (
    Check(NAME, "pods waiting for a node", _unschedulable, ("pods", "nodes"), "Pod"),
    Check(GATED, "pods held by scheduling gates", _gated, ("pods",), "Pod"),
)
