"""Impact: how many pods of how many workloads are struck, and whether users reach them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.analysis.cluster_view import ClusterView, key_of_ref
from engine.analysis.doors import Doors
from engine.analysis.pod import is_done
from engine.missions.kinds.incident_response.blame import Blamed
from engine.model.report import ObjectRef

_DOORS = 3


@dataclass(frozen=True)
class Impact:
    """What an incident strikes; `objects` in order, pods alone where there are any."""

    text: str
    objects: tuple[ObjectRef, ...]
    user_facing: bool


def impact(view: ClusterView, doors: Doors, blamed: Sequence[Blamed]) -> Impact:
    """Return what the groups of one incident strike."""
    struck = _members(blamed)
    pods = [ref for ref in struck if ref.kind == "Pod"]
    owners = _owners(blamed)
    parts = [_pods(view, pods, owners)] if pods else [_others(struck)]
    parts.append(f"cluster {view.name}")
    entrances = list(dict.fromkeys(d for ref in owners.values() for d in doors.to(ref)))
    if entrances:
        more = f" and {len(entrances) - _DOORS} more" if len(entrances) > _DOORS else ""
        parts.append(f"users reach it by {', '.join(entrances[:_DOORS])}{more}")
    elif doors.why_unknown:
        parts.append("whether users reach it is not known")
    else:
        parts.append("no Ingress or outward Service leads to it")
    return Impact("; ".join(parts), tuple(pods or struck), bool(entrances))


def _members(blamed: Sequence[Blamed]) -> list[ObjectRef]:
    found = {key_of_ref(ref): ref for b in blamed for ref in b.group.members}
    return [found[key] for key in sorted(found)]


def _owners(blamed: Sequence[Blamed]) -> Mapping[tuple[str, str, str], ObjectRef]:
    owners = {key_of_ref(b.group.object): b.group.object for b in blamed}
    return {key: owners[key] for key in sorted(owners)}


def _pods(
    view: ClusterView, pods: Sequence[ObjectRef], owners: Mapping[tuple[str, str, str], ObjectRef]
) -> str:
    total = sum(sum(not is_done(pod) for pod in view.pods_of(ref)) for ref in owners.values())
    workloads = [ref for ref in owners.values() if view.pods_of(ref)]
    many = f"{len(workloads)} workloads" if len(workloads) > 1 else ""
    named = str(workloads[0]) if workloads else "no known workload"
    return f"{len(pods)} of {max(total, len(pods))} pods of {many or named} are struck"


def _others(struck: Sequence[ObjectRef]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for ref in struck:
        counts[ref.kind] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) + " struck"
