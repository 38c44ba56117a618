"""The registry of channels: one function per type, made into a Sink with its options."""

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Generic, TextIO, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from engine.model.delivery import Ask, Delivery, Receipt
from engine.model.errors import nearest
from engine.model.ports import Clock, SystemClock
from sinks.egress import Egress, EgressOptions
from sinks.secret import SinkOptions

TYPES = ("console", "email", "slack", "webhook")
"""Every type, in order: `sinks.TYPE` registers it."""
Thread = Mapping[str, str]
Sign = Callable[[Ask, str], str]
OptionsT = TypeVar("OptionsT", bound=SinkOptions)


@dataclass(frozen=True)
class Line(Generic[OptionsT]):
    """What a channel sends with: its options and the outside.

    Attributes:
        name: name of the sink in the configuration.
        options: the checked options.
        clock: wall clock, for what a receiver compares with its own.
        stream: where a console prints.
        egress: the HTTP client; connects where the options allow it.
        accepted: delivery key -> who has taken it already, where others did not yet.
        sign: makes the link by which one address may decide, empty where there is none.
    """

    name: str
    options: OptionsT
    clock: Clock
    stream: TextIO
    egress: Egress
    accepted: dict[str, frozenset[str]] = field(default_factory=dict)
    sign: Sign = lambda _ask, _address: ""


Send = Callable[[Line[OptionsT], Delivery, Thread | None], Awaitable[Receipt]]


@dataclass(frozen=True)
class Kind(Generic[OptionsT]):
    """One type of sink: its options and the function that sends once."""

    name: str
    config: type[OptionsT]
    send: Send[OptionsT]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.send.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Channel(Generic[OptionsT]):
    """A sink ready to send; fulfils `engine.model.ports.Sink`."""

    kind: Kind[OptionsT]
    line: Line[OptionsT]

    async def send(self, delivery: Delivery, thread: Thread | None) -> Receipt:
        """Attempt the delivery once; raise Retryable or Rejected.

        `thread` is what an earlier delivery of the same incident returned.
        """
        return await self.kind.send(self.line, delivery, thread)

    async def aclose(self) -> None:
        """Close what was kept open between sends."""
        await self.line.egress.aclose()


_KINDS: dict[str, Kind[Any]] = {}


def sink(type_: str, *, config: type[OptionsT]) -> Callable[[Send[OptionsT]], Send[OptionsT]]:
    """Register the decorated function as the sink type `type_` with the options `config`."""

    def register(send: Send[OptionsT]) -> Send[OptionsT]:
        _KINDS[type_] = Kind(type_, config, send)
        return send

    return register


class _Kinds(Mapping[str, Kind[Any]]):
    """The kinds by type; the file of a kind is imported when it is asked for.

    Mail alone takes as long to import as half of the others: who sends none need not wait.
    """

    def __getitem__(self, type_: str) -> Kind[Any]:
        if type_ not in TYPES:
            raise KeyError(type_)
        import_module(f"sinks.{type_}")
        return _KINDS[type_]

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)


def kinds() -> Mapping[str, Kind[Any]]:
    """Return every type in order of name."""
    return _Kinds()


def make(  # noqa: PLR0913 - the outside of a channel, each with its default
    name: str,
    type_: str,
    options: Mapping[str, Any],
    *,
    clock: Clock | None = None,
    stream: TextIO | None = None,
    sign: Sign | None = None,
) -> Channel[Any]:
    """Return the sink `name` of type `type_` with its `options` checked.

    Args:
        name: name in the configuration.
        type_: one of `kinds()`.
        options: as written; paths absolute or relative to the working directory.
        clock: wall clock; the machine's by default.
        stream: where a console prints; standard output by default.
        sign: makes links of mails that decide; none by default.

    Raises:
        pydantic.ValidationError: an unknown type (with the nearest known one) or bad options,
            all faults at once; no option's value is repeated in the message.
    """
    kind = kinds().get(type_)
    if kind is None:
        raise _unknown(name, type_)
    checked = kind.config.model_validate(dict(options))
    reach = checked if isinstance(checked, EgressOptions) else EgressOptions()
    line = Line(name, checked, clock or SystemClock(), stream or sys.stdout, Egress(reach))
    if sign is not None:
        line = replace(line, sign=sign)
    return Channel(kind, line)


def _unknown(name: str, type_: str) -> ValidationError:
    message = f"unknown type '{type_}'; known: {', '.join(TYPES)}{nearest(type_, TYPES)}"
    error = PydanticCustomError("sink_type", "{text}", {"text": message})
    details = InitErrorDetails(type=error, loc=("type",), input=type_)
    return ValidationError.from_exception_data(f"sink {name}", [details])
