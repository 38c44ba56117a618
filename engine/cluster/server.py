"""One API server as lists and watches need it."""

from dataclasses import dataclass

from engine.cluster.client import Client
from engine.cluster.resources import Discovery
from engine.model.errors import ClusterError


@dataclass(frozen=True)
class Server:
    """A client, what the server offers, and the salt for Secret values read from it."""

    client: Client
    discovery: Discovery
    salt: bytes


async def identity(client: Client) -> str:
    """Return the uid of the namespace kube-system. Raises ClusterError."""
    answer = await client.json("/api/v1/namespaces/kube-system")
    try:
        return str(answer["metadata"]["uid"])
    except (KeyError, TypeError) as error:
        raise ClusterError("malformed", "kube-system has no uid") from error
