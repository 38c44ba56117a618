"""Snapshot: what was read of some clusters at one time; missions see nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.model.ids import digest

Object = dict[str, Any]


@dataclass(frozen=True)
class ClusterSnapshot:
    """One cluster as it was at `taken_at`.

    Attributes:
        name: name in the configuration or of the folder.
        identity: uid of kube-system, empty where it is not known.
        version: gitVersion of the server, empty where it is not known.
        taken_at: aware UTC, None where the folder does not say.
        objects: raw JSON objects, managedFields and Secret values removed; each has
            apiVersion, kind and metadata.name.
        logs: (namespace, pod, container, previous) -> tail of the log.
        unread: what could not be read -> why (`pods` -> `forbidden: ...`); the key
            `cluster` stands for the whole.
        read: resources that were read (`pods`, `deployments.apps`), None for a folder of
            manifests, where absence of an object says nothing.
    """

    name: str
    identity: str = ""
    version: str = ""
    taken_at: datetime | None = None
    objects: tuple[Object, ...] = ()
    logs: Mapping[tuple[str, str, str, bool], str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    read: frozenset[str] | None = None

    def of_kind(self, kind: str) -> Iterator[Object]:
        """Yield the objects of `kind`, in order of (namespace, name)."""
        found = [o for o in self.objects if o.get("kind") == kind]
        found.sort(key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))
        yield from found

    def digest(self) -> str:
        """Return the sha256 of objects and logs, in hex, whatever their order."""
        parts = sorted(digest(o) for o in self.objects)
        logs = sorted(digest([list(key), text]) for key, text in self.logs.items())
        return digest([self.identity, parts, logs, dict(self.unread)])


@dataclass(frozen=True)
class Snapshot:
    """Clusters by name, in order of name."""

    clusters: Mapping[str, ClusterSnapshot]
