"""Reader: one cluster to read from, the port `Cluster`; and the port `Watch`."""

import random
import secrets
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import quote

from engine.cluster.client import Client
from engine.cluster.contexts import Context
from engine.cluster.listing import pages
from engine.cluster.reflector import TIMING, Reflector, Timing
from engine.cluster.resources import Discovery, Resource
from engine.cluster.server import Server, identity
from engine.model.errors import ClusterError
from engine.model.ports import Clock
from engine.model.snapshot import Object
from engine.model.watch import WHOLE, Observation, Offered, Part, ResourceStatus

LISTS = 3
LOG_LINES = 500
LOG_BYTES = 64 << 10
LOG_BYTES_ASKED = 8 << 20


class Reader:
    """One cluster: identity, lists, logs and watches. Use from one event loop.

    Secret values become digests under a salt that no one else knows: equal values are
    equal for the life of this reader, and tell nothing to anybody.
    """

    def __init__(
        self,
        name: str,
        context: Context,
        clock: Clock,
        *,
        chance: random.Random | None = None,
        timing: Timing = TIMING,
    ) -> None:
        self.name = name
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self._timing = timing
        client = Client(context)
        self._client = client
        self._server = Server(client, Discovery(client), secrets.token_bytes(32))

    async def identity(self) -> str:
        """Return the uid of the namespace kube-system. Raises ClusterError."""
        return await identity(self._client)

    async def version(self) -> str:
        """Return the server's gitVersion, for example v1.36.3. Raises ClusterError."""
        answer = await self._client.json("/version")
        return str(answer.get("gitVersion", "")) if isinstance(answer, dict) else ""

    def certificate(self) -> bytes:
        """Return the certificate (DER) that the server showed last, empty before any answer."""
        return self._client.shown

    async def list(self, resource: str, part: Part = WHOLE) -> list[Object]:
        """Return every object of `resource` (`pods`, `deployments.apps`) as raw JSON.

        Raises:
            ClusterError: unreachable, unauthorized, forbidden, not-found, timeout, ...
        """
        found = await self._server.discovery.resource(resource)
        for _ in range(LISTS - 1):
            try:
                return await _listed(self._server, found, part)
            except ClusterError as error:
                if error.reason != "expired":
                    raise
        return await _listed(self._server, found, part)

    async def serves(self, resource: str) -> bool:
        """Say whether the server has `resource` (`deployments.apps`). Raises as `list`."""
        try:
            await self._server.discovery.resource(resource)
        except ClusterError as error:
            if error.reason != "not-found":
                raise
            return False
        return True

    async def offered(self, api_version: str, kind: str) -> Offered:
        """Return how the server offers `kind` in `api_version`, such as apps/v1.

        Raises:
            ClusterError: `not-found` where it does not; as `list`.
        """
        return await self._server.discovery.offered(api_version, kind)

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        """Return the last 500 lines (64 KiB at most) of a container's log.

        Args:
            pod: (namespace, name).
            container: name of the container.
            previous: of the run before the present one.

        Raises:
            ClusterError: as `list`; `refused` when the container has not run.
        """
        namespace, name = (quote(part, safe="") for part in pod)
        params: dict[str, str | int] = {
            "container": container,
            "previous": "true" if previous else "false",
            "tailLines": LOG_LINES,
            "limitBytes": LOG_BYTES_ASKED,
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        raw = await self._client.get(path, params, tail_bytes=LOG_BYTES)
        return raw.decode(errors="replace")

    async def text(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """Return what the server answers to a GET of `path`. Raises ClusterError."""
        return (await self._client.get(path, params)).decode(errors="replace")

    def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        """Yield what happens to `resource`, for ever (see engine.model.ports.Watch)."""
        reflector = Reflector(self._server, self._clock, self._chance, self._timing)
        return reflector.watch(resource, status, part)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


async def _listed(server: Server, found: Resource, part: Part) -> list[Object]:
    return [obj async for page in pages(server, found, part) for obj in page.objects]
