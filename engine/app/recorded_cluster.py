"""A recorded cluster that answers like a live one."""

from dataclasses import dataclass
from typing import Any

from engine.analysis.resource import RESOURCE_OF
from engine.model.errors import ClusterError
from engine.model.snapshot import ClusterSnapshot

_KIND_OF = {resource: kind for kind, resource in RESOURCE_OF.items()}


@dataclass(frozen=True)
class RecordedCluster:
    """The port Cluster over one recorded cluster."""

    recording: ClusterSnapshot

    @property
    def name(self) -> str:
        """The name of the recorded cluster."""
        return self.recording.name

    async def identity(self) -> str:
        """Return the recorded uid of kube-system."""
        return self.recording.identity

    async def version(self) -> str:
        """Return the recorded version of the server."""
        return self.recording.version

    async def list(self, resource: str) -> list[dict[str, Any]]:
        """Return the recorded objects of `resource`. Raises ClusterError where none is known."""
        kind = _KIND_OF.get(resource)
        if kind is None:
            raise ClusterError("not-found", f"{resource} is not part of the recording")
        return list(self.recording.of_kind(kind))

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        """Return the recorded log. Raises ClusterError where there is none."""
        text = self.recording.logs.get((*pod, container, previous))
        if text is None:
            raise ClusterError("not-found", "no such log in the recording")
        return text
