"""The receivers: what other systems post, one registered function for each form of it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from engine.model.config import Config
from engine.model.errors import nearest
from engine.model.ports import Memory
from engine.model.signal import Signal
from watchers.memory import Forgetful

TYPES: tuple[str, ...] = ("alertmanager", "audit", "cloudevents", "console-alert", "node-report")
"""Every type, in order: `watchers.TYPE`, with _ for -, registers it."""
SECRETS = ("token_file", "basic_file", "secret_file")


class ReceiverOptions(Config):
    """The options of every receiver; one of the three files says who may post.

    Attributes:
        token_file: holds the bearer token of the sender.
        basic_file: its first line is user:password, for a sender that knows basic authentication.
        secret_file: holds the last part of the path, /v1/receive/NAME/SECRET, for a sender that
            can send no header.
        cluster: the cluster of what does not name one.
        clusters: the only clusters that the sender may speak of; none named: any.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    token_file: str | None = None
    basic_file: str | None = None
    secret_file: str | None = None
    cluster: str = Field(default="", max_length=253)
    clusters: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in SECRETS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"needs one of {', '.join(SECRETS)}; given: {found}")
        if self.cluster and self.clusters and self.cluster not in self.clusters:
            raise ValueError(f"cluster '{self.cluster}' is none of clusters")
        return self


@dataclass(frozen=True)
class Post:
    """One request of somebody who may post, checked for size and unpacked.

    `headers` have lower case names; what authenticates is not among them.
    """

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Hall:
    """What a receiver has beside the request.

    Attributes:
        now: wall clock, aware UTC.
        memory: given a cluster and a name of the receiver's own, what it remembers over restarts.
    """

    now: datetime
    memory: Callable[[str, str], Memory] = lambda _cluster, _watcher: Forgetful()


class Refusal(NamedTuple):
    """A part that is no signal: a stable word, a sentence without secrets, and its bytes."""

    reason: str
    detail: str
    raw: bytes


@dataclass
class Received:
    """What one request held.

    Attributes:
        signals: those that were made of it; an empty cluster becomes that of the options.
        refused: the parts of which none could be made. Their bytes go to quarantine; those of
            what may hold secrets are left out, and then it is counted and told only.
        records: CloudEvents as they came, an event or an array of them each.
    """

    signals: list[Signal] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)


Receive = Callable[[Any, Post, Hall], Awaitable[Received]]
"""Never raises for what was posted."""


@dataclass(frozen=True)
class ReceiverKind:
    """One registered type of receiver."""

    name: str
    config: type[ReceiverOptions]
    receive: Receive

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.receive.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Receiver:
    """A receiver as it is configured."""

    name: str
    kind: ReceiverKind
    options: ReceiverOptions

    async def receive(self, post: Post, hall: Hall) -> Received:
        """Read one request; never raises for what it holds."""
        return await self.kind.receive(self.options, post, hall)


_KINDS: dict[str, ReceiverKind] = {}


def receiver(type_: str, *, config: type[ReceiverOptions]) -> Callable[[Receive], Receive]:
    """Register the decorated function as the receiver type `type_` with the options `config`."""

    def register(receive: Receive) -> Receive:
        _KINDS[type_] = ReceiverKind(type_, config, receive)
        return receive

    return register


class _Kinds(Mapping[str, ReceiverKind]):
    """The kinds by type; the file of a kind is imported when it is asked for."""

    def __getitem__(self, type_: str) -> ReceiverKind:
        if type_ not in TYPES:
            raise KeyError(type_)
        import_module(f"watchers.{type_.replace('-', '_')}")
        return _KINDS[type_]

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)


def kinds() -> Mapping[str, ReceiverKind]:
    """Return every type of receiver in order of name."""
    return _Kinds()


def make(name: str, type_: str, options: Mapping[str, Any]) -> Receiver:
    """Return the receiver `name` of type `type_` with its `options` checked.

    Raises:
        pydantic.ValidationError: an unknown type (with the nearest known one) or bad options,
            all faults at once; no option's value is repeated in the message.
    """
    kind = kinds().get(type_)
    if kind is None:
        raise _unknown(name, type_)
    return Receiver(name, kind, kind.config.model_validate(dict(options)))


def _unknown(name: str, type_: str) -> ValidationError:
    message = f"unknown type '{type_}'; known: {', '.join(TYPES)}{nearest(type_, TYPES)}"
    error = PydanticCustomError("receiver_type", "{text}", {"text": message})
    details = InitErrorDetails(type=error, loc=("type",), input=type_)
    return ValidationError.from_exception_data(f"receiver {name}", [details])
