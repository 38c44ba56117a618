"""Resources by name (`pods`, `deployments.apps`), resolved by discovery."""

import asyncio
from dataclasses import dataclass
from typing import Any

from engine.cluster.client import Client
from engine.model.errors import ClusterError, nearest

FORGET_S = 600.0


@dataclass(frozen=True)
class Resource:
    """One resource as a server offers it; `path` lists it over all namespaces."""

    name: str
    path: str
    api_version: str
    kind: str


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
        plural, _, group = name.partition(".")
        offered = await self._offered(group)
        if plural not in offered:
            place = group or "the core group"
            raise ClusterError(
                "not-found",
                f"{name}: the server has no {plural} in {place}{nearest(plural, offered)}",
            )
        return offered[plural]

    async def _offered(self, group: str) -> dict[str, Resource]:
        now = asyncio.get_running_loop().time()
        asked, offered = self._known.get(group, (float("-inf"), {}))
        if now - asked >= FORGET_S:
            offered = await self._ask(group)
            self._known[group] = (now, offered)
        return offered

    async def _ask(self, group: str) -> dict[str, Resource]:
        if not group:
            return await self._version("/api/v1", "", "v1")
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
            )
            for entry in _entries(answer)
        }


def _entries(answer: Any) -> list[dict[str, Any]]:
    return [e for e in answer.get("resources", []) if "list" in e.get("verbs", [])]
