"""The register of the fleet: which clusters there were, by name and by identity, over restarts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from engine.model.ports import Memory
from engine.model.signal import NEWS, Signal

FLEET: Final = "fleet"
NAMES: Final = "fleet"
UIDS: Final = "fleet-uids"
FAULTS: Final = "fleet-faults"
"""What the fleet remembers, in place of watchers, of no cluster in particular: by name of a cluster
who it is; by uid its name; by source why it can not be read."""
CONFIGURED: Final = "configured"
"""The source of the clusters of the configuration."""


class Record(msgspec.Struct, omit_defaults=True):
    """Who a cluster is.

    Attributes:
        uid: of its kube-system, empty where that could not be read.
        source, place: where it was found.
        server: address of its API server, where it was found by discovery.
        labels: those given to it.
        since: when it joined, RFC 3339.
        after: its name from now on, where it was renamed.
        twin: the name under which the same cluster is watched.
    """

    uid: str = ""
    source: str = CONFIGURED
    place: str = ""
    server: str = ""
    labels: dict[str, str] = {}
    since: str = ""
    after: str = ""
    twin: str = ""


@dataclass(frozen=True)
class Turn:
    """What reaching a cluster means; `change` is empty for nothing new."""

    change: str = ""
    before: str = ""
    uid_before: str = ""


def turn(uid: str, record: Record | None, gone: str) -> Turn:
    """Return what it means that a cluster of the identity `uid` was reached.

    Args:
        uid: empty where it could not be read.
        record: who was known by its name, None: nobody.
        gone: the name under which `uid` was known, where that is no longer in the fleet.
    """
    if record is None:
        return Turn("renamed", before=gone) if gone else Turn("joined")
    if uid and record.uid and uid != record.uid:
        return Turn("recreated", uid_before=record.uid)
    return Turn()


def news(name: str, now: datetime, change: str, about: Mapping[str, str]) -> Signal:
    """Return the news of the cluster `name`; what is empty in `about` is left out."""
    source = f"watchers/{FLEET}/{name}"
    data = {"change": change, **{key: text for key, text in about.items() if text}}
    return Signal(
        id=f"{source}/{change}@{now.isoformat()}",
        source=source,
        type=NEWS,
        subject=name,
        time=now,
        cluster=name,
        data=data,
    )


@dataclass(frozen=True)
class Register:
    """The register in the store; every method raises StoreError."""

    names: Memory
    uids: Memory

    async def all(self) -> dict[str, Record]:
        """Return every cluster that there was and that did not leave, by name."""
        return {name: record_of(raw) for name, raw in (await self.names.recall()).items()}

    async def record(self, name: str) -> Record | None:
        """Return who is known by `name`, None for nobody."""
        raw = (await self.names.recall([name])).get(name)
        return None if raw is None else record_of(raw)

    async def name_of(self, uid: str) -> str:
        """Return the name by which a cluster of this identity is known, empty for none."""
        if not uid:
            return ""
        raw = (await self.uids.recall([uid])).get(uid)
        if raw is None:
            return ""
        name = raw.decode()
        record = await self.record(name)
        return name if record is not None and record.uid == uid else ""

    async def keep(self, name: str, record: Record) -> None:
        """Know `record` by `name`; its identity leads to it, unless it is the twin of another."""
        await self.names.keep({name: msgspec.json.encode(record)})
        if record.uid and not (record.after or record.twin):
            await self.uids.keep({record.uid: name.encode()})

    async def forget(self, name: str, record: Record) -> None:
        """Forget a cluster that left."""
        if record.uid and await self.name_of(record.uid) == name:
            await self.uids.keep({record.uid: None})
        await self.names.keep({name: None})


def record_of(raw: bytes) -> Record:
    """Return a record; what another version wrote in a strange form is as one of nobody."""
    try:
        return msgspec.json.decode(raw, type=Record)
    except msgspec.DecodeError:
        return Record()


def shown(record: Record) -> dict[str, Any]:
    """Return what news say of a cluster."""
    return {"uid": record.uid, "server": record.server, "source": record.source}
