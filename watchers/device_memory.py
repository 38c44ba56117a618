"""What is remembered of the devices of each node: one record by its agent, one by its Node."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from engine.analysis.inventory import DAY_S, Count, Holding, Limits, reset, reset_count
from engine.model.config import Config

MEMORY = "inventory"
"""Name of the memory that the receiver of node reports and the watcher of devices share."""
AGENT = "agent/"
NODE = "node/"
"""What keys begin with: the name of the node follows."""
NODE_DEVICE = "node"
"""What an inventory counts that tells whether a node itself is there."""


class InventoryOptions(Config):
    """When a device counts as gone, and when it belongs to what the node should have.

    Attributes:
        absent_looks, absent_s: it is gone when it was missed in that many looks or reports, over
            so many seconds.
        settle_s: how long a new one must stay until it belongs to the baseline.
        baseline_days: how long it must be missing until the node is taken to have fewer.
    """

    absent_looks: PositiveInt = 3
    absent_s: NonNegativeFloat = 90.0
    settle_s: NonNegativeFloat = 600.0
    baseline_days: PositiveFloat = Field(default=7.0, le=3650)

    def limits(self) -> Limits:
        """Return them as the inventory takes them."""
        days = max(1, int(self.baseline_days * DAY_S))
        return Limits(self.absent_looks, int(self.absent_s), int(self.settle_s), days)


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What was told of a level that seldom changes: the words, since when, and when last."""

    words: tuple[str, ...]
    since: int
    at: int


class Level(msgspec.Struct, array_like=True, frozen=True):
    """A level that was told of: kind, name and uid are its identity.

    `up`: when its link was last seen up, to the hour; 0: never. `ended`: since when it is told
    as deleted; 0: it is not.
    """

    kind: str
    name: str
    uid: str
    up: int = 0
    ended: int = 0


class AgentRecord(msgspec.Struct, frozen=True):
    """What the agent of a node told; the receiver writes it, the watcher only ends it.

    Attributes:
        uid: uid of the Node, empty while unknown.
        identity: what uids of its devices begin with; that stays, whenever the uid is learned.
        seen: when it reported last, to some minutes.
        kinds: its devices by kind.
        told: what was told of each inventory by kind, and of the agent itself.
        levels: all that was told of, by kind, identity and name.
        ended: all of it was told as deleted, as the node is gone or its agent silent for long.
    """

    uid: str = ""
    identity: str = ""
    seen: int = 0
    kinds: dict[str, Holding] = {}
    told: dict[str, Told] = {}
    levels: dict[str, Level] = {}
    ended: bool = False


class NodeRecord(msgspec.Struct, frozen=True):
    """What the Node object of a node showed; only the watcher of devices writes it.

    Attributes:
        uid: uid of the Node.
        kinds: the numbers of its devices by kind.
        leaving: it was cordoned or marked for removal when it was seen last.
        missed, gone: looks in which there was no such Node, and since when; None: it is there.
        dismissed: somebody said that it will not come back.
    """

    uid: str = ""
    kinds: dict[str, Count] = {}
    leaving: bool = False
    missed: int = 0
    gone: int | None = None
    dismissed: bool = False


Record = TypeVar("Record", AgentRecord, NodeRecord)


def decoded(value: bytes | None, form: type[Record]) -> Record | None:
    """Return a record as it was kept; one that cannot be read is as none: it is learned anew."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=form)
    except msgspec.MsgspecError:
        return None


def agents(kept: Mapping[str, bytes]) -> dict[str, AgentRecord]:
    """Return the records of agents by name of node."""
    return _of(kept, AGENT, AgentRecord)


def nodes(kept: Mapping[str, bytes]) -> dict[str, NodeRecord]:
    """Return the records of Nodes by name."""
    return _of(kept, NODE, NodeRecord)


def _of(kept: Mapping[str, bytes], start: str, form: type[Record]) -> dict[str, Record]:
    read = (
        (k.removeprefix(start), decoded(v, form)) for k, v in kept.items() if k.startswith(start)
    )
    return {name: record for name, record in read if record is not None}


def as_it_is(kept: Mapping[str, bytes], node: str, kind: str = "") -> dict[str, bytes]:
    """Return what is to be remembered for `node` to have all that it should have.

    Args:
        kept: what is remembered.
        node: name of the node.
        kind: only devices of this kind; empty: all, and a node that is gone is let go.

    Returns:
        The changed records by key; none where nothing of that kind is known.
    """
    changed = {}
    agent, record = agents(kept).get(node), nodes(kept).get(node)
    if agent is not None and (kinds := _chosen(agent.kinds, kind)):
        told = {name: reset(holding) for name, holding in kinds.items()}
        after = msgspec.structs.replace(agent, kinds=agent.kinds | told)
        changed[AGENT + node] = msgspec.json.encode(after)
    if record is not None:
        counts = {name: reset_count(one) for name, one in _chosen(record.kinds, kind).items()}
        dismissed = record.dismissed or (record.gone is not None and kind in {"", NODE_DEVICE})
        if counts or dismissed:
            known = msgspec.structs.replace(
                record, kinds=record.kinds | counts, dismissed=dismissed
            )
            changed[NODE + node] = msgspec.json.encode(known)
    return changed


Kind = TypeVar("Kind")


def _chosen(kinds: Mapping[str, Kind], kind: str) -> dict[str, Kind]:
    return {name: one for name, one in kinds.items() if kind in {"", name, name.partition("/")[0]}}
