"""Requests to API servers, as they audit them: posted by their webhook, or read in their log."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Self

import msgspec
from pydantic import model_validator

from engine.model.signal import Signal
from engine.model.watch import Observation, ResourceStatus
from watchers.audit_event import AuditEvent, AuditFilter, signal, wanted
from watchers.audit_log import LogConfig, follow
from watchers.heartbeat import Pulse
from watchers.posted import VERSION, parts, whole
from watchers.receiving import Hall, Post, Received, ReceiverOptions, Refusal, receiver
from watchers.refused import Told
from watchers.registry import Scene, Source, watcher
from watchers.tail import LINE_LIMIT, Lines

NAME: Final = "audit"
LOG: Final = "audit-log"
_FORM: Final = ("audit.k8s.io/v1", "EventList")


class AuditReceiverConfig(ReceiverOptions, AuditFilter):
    """The options of every receiver, and which requests are told of.

    An API server does not say which cluster it is of, so `cluster` is needed.
    """

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.cluster:
            raise ValueError("needs cluster: an API server does not say of which cluster it is")
        return self


class AuditConfig(LogConfig, AuditFilter):
    """Where the log is, and which requests are told of; without `file_path` nothing runs."""


class _List(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    items: list[msgspec.Raw]


@receiver(NAME, config=AuditReceiverConfig)
async def receive_audit(config: AuditReceiverConfig, post: Post, hall: Hall) -> Received:
    """The audit webhook of an API server: requests of interest.

    `audit` per entry of a list that the filter lets through; its time is that of the post, as the
    server waits up to 30 s for a batch. The id is that of the entry and its stage, so that a list
    that is sent again counts once. Bodies of requests are never read; an entry that can not be
    read is counted and not kept.

    Source: EventList of audit.k8s.io/v1.
    """
    read = whole(post.body, _List, secret=True)
    if isinstance(read, Refusal):
        return Received(refused=[read])
    if (read.api_version, read.kind) != _FORM:
        why = f"no list of audit events; allowed is {' '.join(_FORM)}"
        return Received(refused=[Refusal(VERSION, why, b"")])
    events, refused = await parts(read.items, AuditEvent, secret=True)
    source = f"watchers/{NAME}/{config.cluster}"
    signals = [
        signal(event, source, config.cluster, hall.now, config)
        for event, _ in events
        if wanted(event, config)
    ]
    return Received(signals, refused)


@watcher(
    NAME,
    config=AuditConfig,
    sources=(
        Source(
            LOG,
            "requests to the API server",
            "clusters[].watchers.audit.file_path",
            verbs=(),
            optional=True,
        ),
    ),
    default=False,
)
async def watch_audit(config: AuditConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `audit` for each request of interest in the audit log of the API server.

    The log is followed over rotation and restarts; a line that can not be read is counted, told
    of once, and skipped.

    Source: log backend of the API server, JSON lines of audit.k8s.io/v1.
    """
    if not config.file_path:
        return
    pulse = Pulse(NAME, scene.source.name, [LOG])
    told, found = Told(scene.clock), 0
    following = follow(config, scene.memory(NAME), scene.clock)
    async with contextlib.aclosing(following) as looks:
        async for seen in looks:
            found += len(seen.lines.lines)
            scene.sources[NAME, LOG] = ResourceStatus(fault=seen.fault, objects=found)
            events, refused = await parts(seen.lines.lines, AuditEvent, secret=True)
            _tell(told, pulse.source, seen.lines, refused)
            at = pulse.time(seen.at)
            signals = [
                signal(event, pulse.source, scene.source.name, at, config)
                for event, _ in events
                if wanted(event, config)
            ]
            signals += pulse.saw(LOG, Observation(seen.at, fault=seen.fault))
            if signals:
                yield signals


def _tell(told: Told, source: str, lines: Lines, refused: Sequence[Refusal]) -> None:
    """Count what could not be read."""
    for one in refused:
        told.refused(source, one.reason, one.detail)
    for _ in range(lines.skipped):
        told.refused(source, "too-large", f"a line of more than {LINE_LIMIT} bytes, or cut off")
    if lines.lost:
        told.refused(source, "lost", "a part of the log is gone before it was read")
