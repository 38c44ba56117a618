"""The receiver of node agents: reports of devices as signals, and what each node should have."""

from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec
from pydantic import model_validator

from engine.analysis.inventory import Holding, Limits, Tally, look
from engine.model.node_report import Device, Report
from watchers.device_memory import (
    AGENT,
    MEMORY,
    NODE,
    AgentRecord,
    InventoryOptions,
    Level,
    NodeRecord,
    Told,
    decoded,
)
from watchers.device_signals import deleted, told_by_agent
from watchers.node_roll import enrolled
from watchers.receiving import Hall, Post, Received, ReceiverOptions, Refusal, receiver
from watchers.report_form import Fault, read_devices, read_report

SEEN_S: Final = 300
"""How often it is remembered that an agent reports, where nothing else changes."""
RESEND_S: Final = 3600
"""How often a level is told again that does not change."""
AGAIN_S: Final = 300
"""How long each report tells again what changed: what was told may not have come onto the bus."""
MOST_LEVELS: Final = 4096
"""What is remembered of the devices of one node: those that it has, and those that end."""
_HOUR_S: Final = 3600
_UP: Final = {"up", "active"}
_LINKS: Final = {"nic", "infiniband"}
_OTHER: Final = "other/"
_DEAD: Final = "dead"


class NodeReportConfig(ReceiverOptions, InventoryOptions):
    """Who may report, and when a device counts as gone: see InventoryOptions.

    The agents of all nodes of a cluster share one secret. `cluster` or `clusters` is needed: of no
    other is anything remembered, and of each no more than about 10,000 nodes.
    """

    @model_validator(mode="after")
    def _of_known_clusters(self) -> Self:
        if not self.cluster and not self.clusters:
            raise ValueError("needs cluster or clusters: of which it may report nodes")
        return self

    def allows(self, cluster: str) -> bool:
        """Say whether nodes of `cluster` may be reported."""
        return cluster in (self.clusters or (self.cluster,))


@receiver("node-report", config=NodeReportConfig)
async def receive_node_report(config: NodeReportConfig, post: Post, hall: Hall) -> Received:
    """Read the report of a node agent: `hardware` per device, inventories, and of the agent.

    The time of a signal is that of this clock. A device that was not told of is told as deleted
    once it counts as gone. A report that is cut or garbled in part never makes a device go.

    Source: engine.node, `dogwatch run --role node`.
    """
    report = read_report(post.body)
    if isinstance(report, Fault):
        return Received(refused=[_refusal(report)])
    cluster = report.cluster or config.cluster
    if not config.allows(cluster):
        said = f"cluster '{cluster}' is none that this sender may speak of"
        return Received(refused=[Refusal("cluster", said, post.body)])
    devices, whole, faults = read_devices(report)
    memory = hall.memory(cluster, MEMORY)
    own, node = AGENT + report.node, NODE + report.node
    kept = await memory.recall((own, node))
    known = decoded(kept.get(node), NodeRecord)
    before = decoded(kept.get(own), AgentRecord)
    uid = (known.uid if known else "") or report.uid
    at, limits = int(hall.now.timestamp()), config.limits()
    changes: dict[str, bytes | None] = {}
    fold = _Fold(report, before, uid, at, limits)
    after = fold.run(devices, whole)
    full = ""
    if before is None and not await enrolled(memory, report.node, at - limits.baseline_s, changes):
        full = f"cluster '{cluster}' has as many nodes as are remembered"
    elif len(after.levels) > MOST_LEVELS:
        full = f"node '{report.node}' had more than {MOST_LEVELS} devices by now"
    if full:
        return Received(refused=[Refusal("too-many", full, post.body)])
    if after != before:
        await memory.keep({**changes, own: msgspec.json.encode(after)})
    signals = [told_by_agent(cluster, report.node, hall.now, data) for data in fold.told]
    return Received(signals, [_refusal(fault) for fault in faults])


def _refusal(fault: Fault) -> Refusal:
    return Refusal("malformed", fault.detail, fault.raw)


class _Fold:
    """One report on top of what was known; `told` has the data of the signals that come of it."""

    def __init__(
        self, report: Report, before: AgentRecord | None, uid: str, at: int, limits: Limits
    ) -> None:
        self._report = report
        self._at = at
        self._limits = limits
        self._base = _base(before, report.node, uid)
        self._said = dict(self._base.told)
        self._levels: dict[str, Level] = {}
        self.told: list[dict[str, Any]] = []

    def run(self, devices: list[Device], whole: frozenset[str]) -> AgentRecord:
        """Return what is known after the report, of which `whole` are the kinds read whole."""
        base, report = self._base, self._report
        for device in devices:
            self._device(device)
        kinds = dict(base.kinds)
        for kind in sorted(whole):
            present = {d.key: d.name for d in devices if d.kind == kind and _counts(d)}
            kinds[kind], tally = look(kinds.get(kind), present, self._at, self._limits)
            if tally.baseline or tally.count or kind in self._said:
                self._inventory(kind, tally)
        own = {"boot": report.boot, "faults": report.faults, "unread": report.unread}
        self._say(Level("agent", report.node, f"{base.identity}/agent"), own)
        for key, level in base.levels.items():
            if key not in self._levels:
                self._missed(key, level, kinds, whole)
        seen = base.seen if 0 <= self._at - base.seen < SEEN_S else self._at
        return AgentRecord(base.uid, base.identity, seen, kinds, self._said, self._levels)

    def _device(self, device: Device) -> None:
        key = f"{device.kind}/{device.key}/{device.name}"
        level = self._base.levels.get(key)
        uid = f"{self._base.identity}/{device.key}"
        up = level.up if level else 0
        own = {"kind": device.kind, "name": device.name, "uid": uid, "node": self._report.node}
        data: dict[str, Any] = {**own, **device.fields}
        state = device.fields.get("state")
        if device.kind in _LINKS and state is not None:
            if state in _UP and self._at - up >= _HOUR_S:
                up = self._at
            data["upBefore"] = up > 0 and self._at - up < self._limits.baseline_s
        if level is None or level.ended or not device.same:
            self.told.append(data)
        self._levels[key] = Level(device.kind, device.name, uid, up)

    def _inventory(self, kind: str, tally: Tally) -> None:
        level = Level("inventory", f"{self._report.node}/{kind}", f"{self._base.identity}/{kind}")
        own = {
            "device": kind,
            "count": tally.count,
            "baseline": tally.baseline,
            "missing": list(tally.missing),
        }
        self._say(level, own)

    def _say(self, level: Level, own: Mapping[str, Any]) -> None:
        """Tell a level that seldom changes where it did, did lately, or was not told for long."""
        self._levels[f"{level.kind}/{level.name}"] = level
        what = own.get("device", level.kind)
        words, last = tuple(map(str, own.values())), self._said.get(what)
        if last is None or last.words != words:
            self._said[what] = Told(words, self._at, self._at)
        elif self._at - last.at >= RESEND_S:
            self._said[what] = Told(words, last.since, self._at)
        elif self._at - last.since >= AGAIN_S:
            return
        identity = {"kind": level.kind, "name": level.name, "uid": level.uid}
        self.told.append({**identity, "node": self._report.node, **own})

    def _missed(
        self, key: str, level: Level, kinds: Mapping[str, Holding], whole: frozenset[str]
    ) -> None:
        """Keep a level that this report does not have, until it was told as deleted."""
        ended = level.ended
        if not ended and self._over(key, level, kinds, whole):
            ended = self._at
        if ended and self._at - ended >= AGAIN_S:
            return
        if ended:
            self.told.append(deleted(self._report.node, level))
        self._levels[key] = msgspec.structs.replace(level, ended=ended)

    def _over(
        self, key: str, level: Level, kinds: Mapping[str, Holding], whole: frozenset[str]
    ) -> bool:
        """Say whether a device is gone, has another name, or is of another node."""
        if key.startswith(_OTHER):
            return True
        if level.kind not in whole:
            return False
        identity = key.removeprefix(f"{level.kind}/").removesuffix(f"/{level.name}")
        known = kinds[level.kind].devices.get(identity)
        return (
            known is None  # it is gone, or it was never one that counts
            or not known.looks  # it is there by another name
            or self._limits.gone(known.looks, known.since, self._at)
        )


def _base(before: AgentRecord | None, node: str, uid: str) -> AgentRecord:
    """Return what is known of this very node: another one may have had its name before."""
    fresh = AgentRecord(uid, uid or node)
    if before is None:
        return fresh
    if not before.uid or not uid or before.uid == uid:
        known = msgspec.structs.replace(before, uid=before.uid or uid)
        return msgspec.structs.replace(known, told={}, levels={}) if before.ended else known
    # What was told of the other node has no place among what is there, and so it ends.
    others = {} if before.ended else before.levels
    return msgspec.structs.replace(fresh, levels={f"{_OTHER}{k}": v for k, v in others.items()})


def _counts(device: Device) -> bool:
    """Say whether the node has it: not a drive behind a fabric, nor one that is dead."""
    fields = device.fields
    return bool(fields.get("transport", "pcie") == "pcie" and fields.get("state") != _DEAD)
