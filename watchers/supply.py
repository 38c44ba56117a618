"""Supply: what nodes offer and pods take, counted from the objects. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.analysis.field import at, mappings, name_of, namespace_of, text
from engine.analysis.pod import is_done
from engine.analysis.quantity import parse
from engine.model.watch import Object
from watchers.aims import GPU_DEMAND, NODE_PODS
from watchers.gpu_places import NodeSeen, PodSeen


class Lodger(NamedTuple):
    """A pod that is not done: its node, empty while it has none, and the claims that it mounts."""

    node: str
    claims: tuple[str, ...]


class Room(NamedTuple):
    """A node, and how many pods it takes."""

    name: str
    pods: float


def see_lodger(pod: Object) -> Lodger | None:
    """View a pod; None of one that is done."""
    if is_done(pod):
        return None
    named = [
        text(volume, "persistentVolumeClaim", "claimName")
        for volume in mappings(pod, "spec", "volumes")
    ]
    space = namespace_of(pod)
    return Lodger(text(pod, "spec", "nodeName"), tuple(f"{space}/{one}" for one in named if one))


def see_room(node: Object) -> Room | None:
    """View a node; None where it does not say how many pods it takes."""
    pods = parse(at(node, "status", "allocatable", "pods"))
    return Room(name_of(node), float(pods)) if pods is not None and 0 < pods <= _MOST else None


_MOST = 1_000_000


@dataclass(frozen=True)
class Supply:
    """Views of the pods and nodes of one cluster, by uid."""

    lodgers: Mapping[str, Lodger]
    rooms: Mapping[str, Room]
    gpu_pods: Mapping[str, PodSeen]
    gpu_nodes: Mapping[str, NodeSeen]

    def samples(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Yield metric, labels and value: pods of each node, and the GPUs that are asked for.

        A pod that waits for a GPU asks for it too. Of devices that are claimed by name (DRA) it
        is not known here how many they are.
        """
        pods = Counter(one.node for one in self.lodgers.values())
        for room in self.rooms.values():
            yield NODE_PODS, {"node": room.name}, pods[room.name] / room.pods
        offered = sum(node.gpus for node in self.gpu_nodes.values())
        if offered > 0:
            asked = sum(pod.gpus for pod in self.gpu_pods.values())
            yield GPU_DEMAND, {}, asked / offered

    def users(self, namespace: str, claim: str) -> Iterable[str]:
        """Return the uids of the pods that mount a claim."""
        wanted = f"{namespace}/{claim}"
        return [uid for uid, one in self.lodgers.items() if wanted in one.claims]
