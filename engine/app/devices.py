"""`dogwatch devices`: what each node has and should have, and taking what it has as that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.app.opening import stored
from engine.model.errors import DogwatchError, nearest
from engine.store.store import Store
from watchers.device_labels import BY_LABEL
from watchers.device_memory import MEMORY, agents, as_it_is, nodes


@dataclass(frozen=True)
class DeviceLine:
    """The devices of one kind of one node.

    `count`: those that the last look found; `baseline`: those that it should have; `missing`: names
    of those that the last look missed, where known; `by`: who counted, its agent or its Node.
    """

    cluster: str
    node: str
    kind: str
    count: int
    baseline: int
    missing: tuple[str, ...]
    by: str

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "cluster": self.cluster,
            "node": self.node,
            "device": self.kind,
            "count": self.count,
            "baseline": self.baseline,
            "missing": list(self.missing),
            "by": self.by,
        }

    def __str__(self) -> str:
        text = f"{self.cluster}  {self.node}  {self.kind}  {self.count} of {self.baseline}"
        return f"{text}  missing: {', '.join(self.missing)}" if self.missing else text


def devices_of(config: str, node: str = "", cluster: str = "") -> list[DeviceLine]:
    """Return what is known of the devices of `node`, of all nodes where it is empty.

    Raises:
        ConfigError, StoreError: as `opening.stored`.
    """
    with stored(config) as (store, _):
        return list(_lines(store, node, cluster))


def reset_devices(config: str, node: str, kind: str = "", cluster: str = "") -> list[DeviceLine]:
    """Take what `node` has now as what it should have; a node that is gone is let go.

    Args:
        config: the configuration file.
        node: name of the node.
        kind: only devices of this kind; empty: of all.
        cluster: only in this cluster; empty: wherever a node has the name.

    Returns:
        What it has and should have from now on; a running dogwatch tells of it at its next look.

    Raises:
        DogwatchError: nothing is known of such a node, or of that kind.
        ConfigError, StoreError: as `opening.stored`.
    """
    with stored(config) as (store, _):
        known = {line.node for line in _lines(store, "", cluster)}
        changed = False
        for name in _clusters(store, cluster):
            changes = as_it_is(store.memories(name, MEMORY), node, kind)
            if changes:
                store.remember(name, MEMORY, dict(changes))
                changed = True
        if not changed:
            what = f"devices of kind '{kind}' of node '{node}'" if kind else f"node '{node}'"
            raise DogwatchError(f"nothing is known of {what}{nearest(node, known - {node})}")
        return [line for line in _lines(store, node, cluster) if kind in {"", line.kind}]


def _clusters(store: Store, cluster: str) -> list[str]:
    return [name for name in store.remembering(MEMORY) if cluster in {"", name}]


def _lines(store: Store, node: str, cluster: str) -> Iterator[DeviceLine]:
    for name in _clusters(store, cluster):
        kept = store.memories(name, MEMORY)
        found = [*_by_agent(name, kept), *_by_node(name, kept)]
        chosen = (line for line in found if node in {"", line.node})
        yield from sorted(chosen, key=lambda line: (line.node, line.kind, line.by))


def _by_agent(cluster: str, kept: Mapping[str, bytes]) -> Iterator[DeviceLine]:
    for node, record in agents(kept).items():
        for kind, holding in record.kinds.items():
            missed = [known for known in holding.devices.values() if known.looks]
            here = len(holding.devices) - len(missed)
            if here or holding.baseline:
                names = tuple(sorted(known.name for known in missed))
                yield DeviceLine(cluster, node, kind, here, holding.baseline, names, "agent")


def _by_node(cluster: str, kept: Mapping[str, bytes]) -> Iterator[DeviceLine]:
    for node, record in nodes(kept).items():
        if record.gone is not None:
            yield DeviceLine(cluster, node, "node", 0, 1, (node,), "node")
            continue
        for kind, count in record.kinds.items():
            device = kind.removesuffix(BY_LABEL)
            yield DeviceLine(cluster, node, device, count.latest, count.baseline, (), "node")
