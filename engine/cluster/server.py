"""One API server as lists and watches need it."""

from dataclasses import dataclass

from engine.cluster.client import Client
from engine.cluster.resources import Discovery


@dataclass(frozen=True)
class Server:
    """A client, what the server offers, and the salt for Secret values read from it."""

    client: Client
    discovery: Discovery
    salt: bytes
