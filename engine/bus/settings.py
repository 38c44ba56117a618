"""The block `bus.kafka` of the configuration: where the brokers are, how topics must be kept."""

import re
from typing import Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from engine.model.config import Config

_BROKER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):(\d{1,5})")
_PREFIX = r"^([a-zA-Z0-9_-][a-zA-Z0-9._-]{0,199})?$"
_GROUP = r"^[a-zA-Z0-9._-]{1,200}$"
_PORTS = range(1, 1 << 16)
SAFE_COPIES = 2
"""With fewer copies of a record, or fewer that must have it, one lost disk loses what was taken."""

Unsafe = Literal[
    "replication_factor",
    "min_insync_replicas",
    "unclean_leader_election",
    "cleanup_policy",
    "retention",
]
"""Names under which a setting that can lose records may be allowed."""


class TlsConfig(Config):
    """Encrypted connections.

    `ca_file` is PEM and replaces the authorities of the system; `cert_file` and `key_file` are
    shown to brokers that ask who we are.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class SaslConfig(Config):
    """Who we are for the brokers: `username`; the password is the first line of `password_file`.

    `mechanism` is what the brokers want.
    """

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = Field(min_length=1)
    password_file: str = Field(min_length=1)


class KafkaConfig(Config):
    """The bus on Kafka: `brokers` are HOST:PORT, reached by `tls` and with `sasl` where given.

    `group` is the group of all workers. Topics are `topic_prefix` signals, conditions and
    quarantine. What is missing is made with `partitions`, `replication_factor` and
    `min_insync_replicas`, unless `create_topics` is off. Settings that can lose records are
    refused, unless `allow_unsafe` names them.

    A worker that is silent for `session_timeout_s` is given up; another one takes over then.
    Records are kept for `retain_s`.
    """

    brokers: tuple[str, ...] = Field(min_length=1)
    topic_prefix: str = Field(default="dogwatch.", pattern=_PREFIX)
    group: str = Field(default="dogwatch", pattern=_GROUP)
    partitions: PositiveInt = Field(default=12, le=1000)
    replication_factor: PositiveInt = Field(default=3, le=100)
    min_insync_replicas: PositiveInt = 2
    retain_s: float = Field(default=7 * 86400.0, ge=60)
    create_topics: bool = True
    allow_unsafe: tuple[Unsafe, ...] = ()
    session_timeout_s: float = Field(default=10.0, ge=1, le=300)
    tls: TlsConfig | None = None
    sasl: SaslConfig | None = None

    @field_validator("brokers")
    @classmethod
    def _addresses(cls, brokers: tuple[str, ...]) -> tuple[str, ...]:
        for number, broker in enumerate(brokers, 1):
            found = _BROKER.fullmatch(broker)
            if not found or int(found[3]) not in _PORTS:
                raise ValueError(f"entry {number} is no HOST:PORT, for example kafka-1:9092")
        return brokers

    @field_validator("topic_prefix")
    @classmethod
    def _no_path(cls, prefix: str) -> str:
        if prefix in {".", ".."}:
            raise ValueError("'.' and '..' are no beginnings of a topic's name")
        return prefix

    @model_validator(mode="after")
    def _copies(self) -> Self:
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas is {self.min_insync_replicas}, more than the "
                f"replication_factor of {self.replication_factor}: nothing could be written"
            )
        few: list[Unsafe] = []
        if self.replication_factor < SAFE_COPIES:
            few.append("replication_factor")
        if self.min_insync_replicas < SAFE_COPIES:
            few.append("min_insync_replicas")
        refused = [name for name in few if name not in self.allow_unsafe]
        if refused:
            found = " and ".join(f"{name} is {getattr(self, name)}" for name in refused)
            raise ValueError(
                f"{found}: one lost disk loses records; set at least {SAFE_COPIES}, "
                f"or allow_unsafe: [{', '.join(refused)}]"
            )
        return self
