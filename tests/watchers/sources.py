"""A cluster to watch, at our own port: the test says what each resource shows."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from engine.model.errors import ClusterError
from engine.model.watch import (
    WHOLE,
    Change,
    ChangeType,
    Object,
    Observation,
    Offered,
    Part,
    ResourceStatus,
)

Answer = TypeVar("Answer")
Asked = TypeVar("Asked")
Listed = list[Object]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Script:
    """Shows the given observations of each resource, then nothing more.

    `lists` and `texts` are what it answers to `list` and `text`, `offers` to `offered`, by API
    version and kind; it lacks all else.
    """

    def __init__(
        self,
        shown: dict[str, list[Observation]] | None = None,
        *,
        identity: tuple[str | ClusterError, ...] = ("uid-kube-system",),
        lists: Mapping[str, Listed | ClusterError] | None = None,
        texts: Mapping[str, str | ClusterError] | None = None,
        offers: Mapping[tuple[str, str], Offered | ClusterError] | None = None,
    ) -> None:
        self.name = "west"
        self.shown = shown or {}
        self.lists = dict(lists or {})
        self.texts = dict(texts or {})
        self.offers = dict(offers or {})
        self.asked: list[str] = []
        self.shown_der = b""
        self._identity = list(identity)

    async def identity(self) -> str:
        answer = self._identity.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    async def version(self) -> str:
        return "v1.36.3"

    def certificate(self) -> bytes:
        return self.shown_der

    async def list(self, resource: str, part: Part = WHOLE) -> Listed:
        self.asked.append(resource)
        seen = _answer(self.lists, resource)
        return seen if part.view is None else [{**one, **part.view(one)} for one in seen]

    async def offered(self, api_version: str, kind: str) -> Offered:
        return _answer(self.offers, (api_version, kind))

    async def text(self, path: str, params: Mapping[str, str] | None = None) -> str:
        self.asked.append(path)
        return _answer(self.texts, path)

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        self.asked.append(resource)
        for observation in self.shown.get(resource, []):
            await asyncio.sleep(0)
            status.fault = observation.fault
            status.seen = status.seen if observation.fault else observation.at
            yield observation


def _answer(answers: Mapping[Asked, Answer | ClusterError], asked: Asked) -> Answer:
    answer = answers.get(asked, ClusterError("not-found", f"{asked}: there is none"))
    if isinstance(answer, ClusterError):
        raise answer
    return answer


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
