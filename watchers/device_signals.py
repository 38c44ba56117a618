"""Signals about devices as the receiver of node agents sends them, and their end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from engine.model.signal import Signal
from watchers.device_memory import AgentRecord, Level

SENDER: Final = "watchers/node-report"
"""What the source of the signals of node agents begins with; the cluster follows."""


def told_by_agent(cluster: str, node: str, now: datetime, data: Mapping[str, Any]) -> Signal:
    """Return the signal about a device of `node`, known by kind, name and uid of its `data`."""
    source = f"{SENDER}/{cluster}"
    subject = f"{node}/{data['kind']}/{data['uid']}/{data['name']}"
    return Signal(
        id=f"{source}/{subject}@{now.isoformat()}",
        source=source,
        type="hardware",
        subject=subject,
        time=now,
        cluster=cluster,
        data=dict(data),
    )


def deleted(node: str, level: Level) -> dict[str, Any]:
    """Return the data that tells of the end of `level`."""
    identity = {"kind": level.kind, "name": level.name, "uid": level.uid}
    return {**identity, "node": node, "change": "deleted"}


def ends(cluster: str, node: str, record: AgentRecord, now: datetime) -> list[Signal]:
    """Return the signals that tell of the end of all that the agent of `node` told of."""
    if record.ended:
        return []
    return [
        told_by_agent(cluster, node, now, deleted(node, level)) for level in record.levels.values()
    ]
