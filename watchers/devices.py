"""The watcher of devices: what Nodes tell of theirs, and nodes that are gone, without an agent."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from pydantic import NonNegativeFloat, PositiveFloat

from engine.analysis.inventory import Count, Tally, look_at_count
from engine.model.errors import StoreError
from engine.model.signal import Signal
from watchers import device_memory
from watchers.device_labels import BY_LABEL, NodeView, see_node
from watchers.device_memory import (
    AGENT,
    MEMORY,
    NODE,
    NODE_DEVICE,
    AgentRecord,
    InventoryOptions,
    NodeRecord,
)
from watchers.device_signals import ends
from watchers.memory import Pending
from watchers.polling import Fact, Looked, poll
from watchers.registry import Scene, Source, watcher

NODES: Final = "nodes"


class DevicesConfig(InventoryOptions):
    """How the devices of nodes are followed, by what their Nodes tell.

    Nodes are looked at every `every_s`. `nodes`: which are told of when they are gone, `all` or
    those with `devices`; one that was cordoned or marked for removal before is none. An agent
    that did not report for `agent_silent_s` is told as silent, and after `agent_forget_s` what it
    told is over. A device is gone when it was missed in `absent_looks` looks over `absent_s`; a
    new one belongs to what the node should have after `settle_s`; one that is missing for
    `baseline_days` no longer does.
    """

    every_s: PositiveFloat = 60.0
    nodes: Literal["devices", "all"] = "devices"
    agent_silent_s: NonNegativeFloat = 900.0
    agent_forget_s: NonNegativeFloat = 86400.0


SOURCES = (Source(NODES, "devices by resources and labels of Nodes, and nodes that are gone"),)


@watcher("devices", config=DevicesConfig, sources=SOURCES)
async def watch_devices(config: DevicesConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `hardware` inventories: devices by kind and node, and each node that has some.

    Where an agent reports a kind of a node, nothing is told of that kind here.

    Source: labels, allocatable and capacity of Nodes, as the watcher of objects sees them.
    """
    nodes = _Nodes(config, scene)
    async for signals in poll("devices", scene, (NODES,), config.every_s, nodes.look):
        yield [*signals, *nodes.ended]
        await nodes.keep()


class _Nodes:
    """Looks at all nodes; `ended` tells of the end of what agents told that are no more."""

    def __init__(self, config: DevicesConfig, scene: Scene) -> None:
        self._config = config
        self._limits = config.limits()
        self._scene = scene
        self._views = scene.kept.of(NODES, see_node)
        self._memory = scene.memory(MEMORY)
        self._pending = Pending(self._memory)
        self.ended: list[Signal] = []

    async def look(self, at: datetime) -> Looked:
        """Return the inventories; what is to be remembered is kept once they are told."""
        await self._scene.kept.ready(NODES)
        if fault := self._fault():
            return Looked(faults={NODES: fault})
        try:
            kept: dict[str, Any] = await self._memory.recall()
        except StoreError as error:
            return Looked(faults={NODES: f"unavailable: {error}"})
        kept |= self._pending.changes
        remembered = {key: value for key, value in kept.items() if value is not None}
        return Looked([*self._facts(remembered, at)])

    async def keep(self) -> None:
        """Remember what the last look found."""
        self.ended = []
        await self._pending.keep()

    def _fault(self) -> str:
        """Return why nodes are not seen now, empty where they are."""
        status = self._scene.status.get(NODES)
        if status is None:
            return "not-found: the watcher of objects does not watch nodes"
        if self._scene.kept.whole(NODES) or status.fault:
            return status.fault
        return "unavailable: the nodes were not listed yet"

    def _facts(self, remembered: Mapping[str, bytes], at: datetime) -> Iterator[Fact]:
        now = int(at.timestamp())
        agents, records = device_memory.agents(remembered), device_memory.nodes(remembered)
        here = {view.name: view for view in self._views.values()}
        for name, view in sorted(here.items()):
            agent = self._heard(name, agents.get(name), now, at)
            yield from self._node(view, records.get(name), agent, now)
        for name, record in sorted(records.items()):
            if name not in here:
                yield from self._gone(name, record, agents.get(name), at)
        for name, agent in agents.items():
            if name not in here and name not in records and self._over(agent, now):
                self._forget(name, agent, at)

    def _heard(
        self, name: str, agent: AgentRecord | None, now: int, at: datetime
    ) -> AgentRecord | None:
        """Return what an agent told; None for one whose silence ended all of it."""
        if agent is None or agent.ended:
            return None
        if not self._over(agent, now):
            return agent
        self.ended += ends(self._scene.source.name, name, agent, at)
        self._remember(AGENT + name, agent, msgspec.structs.replace(agent, ended=True))
        return None

    def _over(self, agent: AgentRecord, now: int) -> bool:
        return now - agent.seen >= self._config.agent_forget_s

    def _node(
        self, view: NodeView, before: NodeRecord | None, agent: AgentRecord | None, now: int
    ) -> Iterator[Fact]:
        """Yield the inventories of a node that is there."""
        known = before.kinds if before is not None and before.uid == view.uid else {}
        kinds: dict[str, Count] = {}
        tallies: dict[str, Tally] = {}
        for kind in sorted(known.keys() | view.counts.keys()):
            was, number = known.get(kind), view.number(kind)
            if was is not None and number is None:  # nobody knows: it is as it was
                kinds[kind], tallies[kind] = was, Tally(was.shown, was.baseline)
            elif was is not None or number:
                after, tally = look_at_count(was, number or 0, now, self._limits)
                if tally.count or tally.baseline:
                    kinds[kind], tallies[kind] = after, tally
        self._remember(NODE + view.name, before, NodeRecord(view.uid, kinds, view.leaving))
        for kind, tally in tallies.items():
            device = kind.removesuffix(BY_LABEL)
            # Who counts knows better than who labels, and an agent better than both.
            better = device in kinds if kind != device else False
            if not better and (agent is None or device not in agent.kinds):
                yield _inventory(view, device, tally)
        if kinds or agent is not None or self._config.nodes == "all":
            yield self._there(view, agent, now)

    def _there(self, view: NodeView, agent: AgentRecord | None, now: int) -> Fact:
        heard = {}
        if agent is not None:
            silent = now - agent.seen >= self._config.agent_silent_s
            heard["agent"] = "silent" if silent else "reporting"
        own = {"labels": view.labels, **heard, **view.drivers}
        return _fact(view.name, view.uid, NODE_DEVICE, Tally(1, 1), own)

    def _gone(
        self, name: str, record: NodeRecord, agent: AgentRecord | None, at: datetime
    ) -> Iterator[Fact]:
        """Yield that a node is gone, until it is back, or that is how it should be."""
        now = int(at.timestamp())
        told = self._config.nodes == "all" or record.kinds or agent is not None
        gone, missed = now if record.gone is None else record.gone, record.missed + 1
        past = now - gone >= self._limits.baseline_s
        if record.leaving or record.dismissed or not told or past:
            self._forget(name, agent, at)
            return
        after = msgspec.structs.replace(record, gone=gone, missed=missed)
        self._remember(NODE + name, record, after)
        lost = self._limits.gone(missed, gone, now)
        yield _fact(name, record.uid, NODE_DEVICE, Tally(0, 1, (name,)) if lost else Tally(1, 1))

    def _forget(self, name: str, agent: AgentRecord | None, at: datetime) -> None:
        """Forget a node, and end what its agent told."""
        self._pending.changes[NODE + name] = None
        if agent is not None:
            self.ended += ends(self._scene.source.name, name, agent, at)
            self._pending.changes[AGENT + name] = None

    def _remember(
        self, key: str, before: NodeRecord | AgentRecord | None, after: NodeRecord | AgentRecord
    ) -> None:
        if after != before:
            self._pending.changes[key] = msgspec.json.encode(after)


def _inventory(view: NodeView, device: str, tally: Tally) -> Fact:
    own: dict[str, Any] = {"labels": view.labels}
    if device in view.unhealthy:
        own["unhealthy"] = view.unhealthy[device]
    if device == "gpu" and view.model:
        own["model"] = view.model
    return _fact(view.name, view.uid, device, tally, own)


def _fact(
    node: str, uid: str, device: str, tally: Tally, own: Mapping[str, Any] | None = None
) -> Fact:
    name = node if device == NODE_DEVICE else f"{node}/{device}"
    data = {
        "kind": "inventory",
        "name": name,
        "uid": f"{uid}/{device}",
        "node": node,
        "device": device,
        "count": tally.count,
        "baseline": tally.baseline,
        "missing": list(tally.missing),
        **(own or {}),
    }
    return Fact("hardware", f"{node}/{device}/{uid}", data, NODES)
