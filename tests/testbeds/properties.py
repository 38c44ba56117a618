"""The settings of one Kafka broker: small, quick to start, on loopback, with four listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.testbeds.certificates import Pair

LISTENERS = ("plain", "sasl", "tls", "sasl_tls", "controller")
_PROTOCOLS = {
    "plain": "PLAINTEXT",
    "sasl": "SASL_PLAINTEXT",
    "tls": "SSL",
    "sasl_tls": "SASL_SSL",
    "controller": "PLAINTEXT",
}
USER = "dogwatch"
"""May do everything, as callers without a proof do."""
GUEST = "guest"
"""May do nothing: it is known, and refused."""
PASSWORDS = {USER: "correct-horse", GUEST: "no-guests"}


@dataclass(frozen=True)
class Node:
    """One broker; `ports` are in the order of LISTENERS."""

    number: int
    folder: Path
    ports: tuple[int, ...]
    serving: Pair
    authority: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def credentials(self) -> list[str]:
        """What the format tool is told about the users of SCRAM."""
        return [
            f"SCRAM-SHA-512=[name={user},password={password}]"
            for user, password in PASSWORDS.items()
        ]

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[LISTENERS.index(listener)]}"


def properties(node: Node, peers: Sequence[Node]) -> str:
    """Return the content of server.properties; `peers` are all brokers, this one too."""
    settings = {**_place(node, peers), **_small(len(peers)), **_quick(len(peers)), **_proofs(node)}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _place(node: Node, peers: Sequence[Node]) -> dict[str, object]:
    here = {name: f"{name.upper()}://{node.address(name)}" for name in LISTENERS}
    return {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "log.dirs": node.data,
        "listeners": ",".join(here.values()),
        "advertised.listeners": ",".join(here[name] for name in LISTENERS if name != "controller"),
        "listener.security.protocol.map": ",".join(
            f"{name.upper()}:{protocol}" for name, protocol in _PROTOCOLS.items()
        ),
        "inter.broker.listener.name": "PLAIN",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(
            f"{peer.number}@{peer.address('controller')}" for peer in peers
        ),
    }


def _small(brokers: int) -> dict[str, object]:
    safe = 2 if brokers > 2 else 1
    return {
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": brokers,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": safe,
        "share.coordinator.state.topic.replication.factor": brokers,
        "share.coordinator.state.topic.min.isr": safe,
        "default.replication.factor": brokers,
        "min.insync.replicas": safe,
        "num.network.threads": 1,
        "num.io.threads": 2,
        "auto.create.topics.enable": "false",
        "message.max.bytes": 16_777_216,
        "replica.fetch.max.bytes": 16_777_216,
        "log.cleaner.dedupe.buffer.size": 16_777_216,
    }


def _quick(brokers: int) -> dict[str, object]:
    """Few seconds from a broker's death until another leads, and none for a group to begin."""
    return {
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "controller.quorum.election.timeout.ms": 500,
        "controller.quorum.fetch.timeout.ms": 2000 if brokers > 1 else 10_000,
        "replica.lag.time.max.ms": 5000,
        "log.segment.delete.delay.ms": 1000,
        "log.retention.check.interval.ms": 5000,
        "log.initial.task.delay.ms": 1000,
    }


def _proofs(node: Node) -> dict[str, object]:
    key = node.folder / "serving.pem"
    key.write_bytes(node.serving.key.read_bytes() + node.serving.certificate.read_bytes())
    key.chmod(0o600)
    users = " ".join(f'user_{user}="{password}"' for user, password in PASSWORDS.items())
    plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings: dict[str, object] = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER};User:CN={USER}",
    }
    for name in ("tls", "sasl_tls"):
        listener = f"listener.name.{name}"
        settings[f"{listener}.ssl.keystore.type"] = "PEM"
        settings[f"{listener}.ssl.keystore.location"] = key
        settings[f"{listener}.ssl.truststore.type"] = "PEM"
        settings[f"{listener}.ssl.truststore.location"] = node.authority
        settings[f"{listener}.ssl.client.auth"] = "requested" if name == "tls" else "none"
    for name in ("sasl", "sasl_tls"):
        listener = f"listener.name.{name}"
        settings[f"{listener}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-512"
        settings[f"{listener}.plain.sasl.jaas.config"] = plain
        settings[f"{listener}.scram-sha-512.sasl.jaas.config"] = scram
    return settings
