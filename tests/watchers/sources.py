"""A cluster to watch, at our own port: the test says what each resource shows."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.model.errors import ClusterError
from engine.model.watch import Change, ChangeType, Observation, ResourceStatus

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Script:
    """Shows the given observations of each resource, then nothing more."""

    def __init__(
        self,
        shown: dict[str, list[Observation]],
        *,
        identity: tuple[str | ClusterError, ...] = ("uid-kube-system",),
    ) -> None:
        self.name = "west"
        self.shown = shown
        self.asked: list[str] = []
        self._identity = list(identity)

    async def identity(self) -> str:
        answer = self._identity.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    async def watch(self, resource: str, status: ResourceStatus) -> AsyncGenerator[Observation]:
        self.asked.append(resource)
        for observation in self.shown.get(resource, []):
            await asyncio.sleep(0)
            status.fault = observation.fault
            status.seen = status.seen if observation.fault else observation.at
            yield observation


def saw(seconds: float, *changes: Change, fault: str = "", partial: bool = False) -> Observation:
    return Observation(after(seconds), changes, fault, partial)


def change(
    kind: ChangeType,
    obj: dict[str, Any],
    old: dict[str, Any] | None = None,
    *,
    unseen: bool = False,
) -> Change:
    return Change(kind, obj, old, unseen=unseen)


def an_object(kind: str, name: str, version: str = "1", **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": version}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata | parts.pop("metadata", {}),
        **parts,
    }
