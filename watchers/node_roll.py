"""The roll of nodes whose agents reported: how many of a cluster are remembered at most."""

from typing import Final
from zlib import crc32

import msgspec

from engine.model.ports import Memory
from watchers.device_memory import AGENT, AgentRecord, decoded

ROLL: Final = "roll/"
"""What keys begin with: a part of the roll follows."""
PARTS: Final = 64
MOST: Final = 160
"""Nodes in one part: 10,000 in all, by their hash; 5,000, the most of a cluster, leave room."""
_Names = list[str]


async def enrolled(
    memory: Memory, node: str, before_s: int, changes: dict[str, bytes | None]
) -> bool:
    """Say whether there is room for a node that reports for the first time.

    Where there is none, those are forgotten that were not heard since `before_s`.

    Args:
        memory: that of the cluster.
        node: its name.
        before_s: in seconds since 1970.
        changes: gets what is to be remembered, and what is to be forgotten.
    """
    key = f"{ROLL}{crc32(node.encode()) % PARTS:02x}"
    names = _read((await memory.recall((key,))).get(key))
    if node in names:
        return True
    if len(names) >= MOST:
        records = await memory.recall([AGENT + name for name in names])
        kept = [name for name in names if _heard(records.get(AGENT + name), before_s)]
        changes.update(dict.fromkeys((AGENT + name for name in names if name not in kept), None))
        names = kept
    if len(names) >= MOST:
        return False
    changes[key] = msgspec.json.encode([*names, node])
    return True


def _read(value: bytes | None) -> _Names:
    try:
        return msgspec.json.decode(value or b"[]", type=_Names)
    except (msgspec.MsgspecError, ValueError):
        return []


def _heard(value: bytes | None, since_s: int) -> bool:
    record = decoded(value, AgentRecord)
    return record is not None and record.seen >= since_s
