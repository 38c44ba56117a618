"""The form of a node agent's report: what the agent posts and the receiver reads."""

from typing import Annotated, Any, Final

import msgspec

COUNTED: Final = ("gpu", "infiniband", "nic", "nvme")
"""Kinds of devices that a report may hold, and of which an inventory is kept."""
MAX_DEVICES: Final = 1024
MAX_UNREAD: Final = 32
MAX_WORD: Final = 128
_INT64: Final = 1 << 63
_NAME: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORD, pattern=r"^[ -~]+$")]
Node = Annotated[str, msgspec.Meta(pattern=_NAME)]


class Device(msgspec.Struct, frozen=True):
    """One device. `key`: its identity in the node; `same`: nothing of it changed since it was told.

    `fields` are those of engine.model.schema_devices for its kind.
    """

    kind: Word
    key: Word
    name: Word
    fields: dict[str, Any] = {}
    same: bool = False


class Report(msgspec.Struct, frozen=True):
    """What the agent of a node found in one look.

    Attributes:
        node: name of the node.
        cluster: name of its cluster, as dogwatch knows it; empty: as the receiver says.
        uid: uid of the Node, where the agent knows it.
        boot: id of the boot.
        looked: kinds that were read whole: what is not among the devices is not there.
        devices: each as `Device`.
        faults: how many files could not be read.
        unread: the first of them, each `path: reason`.
    """

    node: Node
    cluster: Annotated[str, msgspec.Meta(max_length=253)] = ""
    uid: Annotated[str, msgspec.Meta(max_length=128)] = ""
    boot: Annotated[str, msgspec.Meta(max_length=128)] = ""
    looked: Annotated[list[Word], msgspec.Meta(max_length=16)] = []
    devices: Annotated[list[Any], msgspec.Meta(max_length=MAX_DEVICES)] = []
    faults: Annotated[int, msgspec.Meta(ge=0, le=_INT64 - 1)] = 0
    unread: Annotated[list[Word], msgspec.Meta(max_length=MAX_UNREAD)] = []
