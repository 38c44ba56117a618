"""Resources by name (`pods`, `deployments.apps`, `deployments.v1.apps`), resolved by discovery."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from engine.cluster.client import Client
from engine.model.errors import ClusterError, nearest
from engine.model.watch import Offered

FORGET_S = 600.0
_VERSIONED = re.compile(r"(v\d+(?:(?:alpha|beta)\d+)?)\.(.*)")


@dataclass(frozen=True)
class Resource:
    """One resource as a server offers it; `path` lists it over all namespaces."""

    name: str
    path: str
    api_version: str
    kind: str
    namespaced: bool = True


class Discovery:
    """What one server offers, asked once in ten minutes and only as far as needed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, tuple[float, dict[str, Resource]]] = {}

    async def resource(self, name: str) -> Resource:
        """Return the resource of that name.

        Raises:
            ClusterError: `not-found` if the server has no such resource; as Client.get.
        """
        plural, _, place = name.partition(".")
        if versioned := _VERSIONED.fullmatch(place):
            version, group = versioned.groups()
            place = f"{group}/{version}" if group else version
        offered = await self._offered(place)
        if plural not in offered:
            place = place or "the core group"
            raise ClusterError(
                "not-found",
                f"{name}: the server has no {plural} in {place}{nearest(plural, offered)}",
            )
        return offered[plural]

    async def offered(self, api_version: str, kind: str) -> Offered:
        """Return how the server offers `kind` in `api_version`.

        Raises:
            ClusterError: as `resource`.
        """
        there = await self._offered(api_version)
        group, _, version = api_version.rpartition("/")
        for plural, resource in there.items():
            if resource.kind == kind:
                return Offered(f"{plural}.{version}.{group}", resource.namespaced)
        raise ClusterError("not-found", f"the server has no {kind} in {api_version}")

    async def _offered(self, place: str) -> dict[str, Resource]:
        """Return what the server offers of a group, or of one version of it."""
        now = asyncio.get_running_loop().time()
        asked, offered = self._known.get(place, (float("-inf"), {}))
        if now - asked >= FORGET_S:
            offered = await self._ask(place)
            self._known[place] = (now, offered)
        return offered

    async def _ask(self, place: str) -> dict[str, Resource]:
        if place in {"", "v1"}:
            return await self._version("/api/v1", "", "v1")
        group, _, version = place.partition("/")
        if version:
            return await self._version(f"/apis/{place}", group, place)
        about = await self._client.json(f"/apis/{group}")
        preferred = about["preferredVersion"]["version"]
        others = [v["version"] for v in about["versions"] if v["version"] != preferred]
        offered: dict[str, Resource] = {}
        for version in (preferred, *others):
            found = await self._version(f"/apis/{group}/{version}", group, f"{group}/{version}")
            offered = {**found, **offered}
        return offered

    async def _version(self, path: str, group: str, api_version: str) -> dict[str, Resource]:
        answer = await self._client.json(path)
        return {
            entry["name"]: Resource(
                name=f"{entry['name']}.{group}" if group else entry["name"],
                path=f"{path}/{entry['name']}",
                api_version=api_version,
                kind=entry["kind"],
                namespaced=bool(entry.get("namespaced")),
            )
            for entry in _entries(answer)
        }


def _entries(answer: Any) -> list[dict[str, Any]]:
    return [e for e in answer.get("resources", []) if "list" in e.get("verbs", [])]
