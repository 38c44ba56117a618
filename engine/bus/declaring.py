"""The topics as they must be: made where they are missing, checked where they are there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import structlog
from aiokafka import errors
from aiokafka.protocol.admin import CreatePartitionsRequest, CreateTopicsRequest

from engine.bus.brokers import Brokers, Partition
from engine.bus.codec import RECORD_LIMIT
from engine.bus.connection import REQUEST_MS, said
from engine.bus.settings import KafkaConfig, Unsafe
from engine.bus.topics import Topic
from engine.model.errors import ConfigError, StoreError

LOG = structlog.get_logger()
RECORD_SPACE: Final = RECORD_LIMIT + (64 << 10)
"""Bytes that a record may have in a topic, key and headers included."""
_NO_RIGHT: Final = (
    errors.TopicAuthorizationFailedError.errno,
    errors.ClusterAuthorizationFailedError.errno,
)
_EXISTS: Final = errors.TopicAlreadyExistsError.errno
_FEW_BROKERS: Final = errors.InvalidReplicationFactorError.errno
_TIMED_OUT: Final = errors.RequestTimedOutError.errno

Topics = Mapping[str, tuple[Partition, ...]]


async def declare(settings: KafkaConfig, brokers: Brokers) -> None:
    """Make the topics that are missing, and grow `signals`; then check all of them.

    Raises:
        StoreError: the brokers can not be used, or are too few; a later call may succeed.
        ConfigError: topics are missing and may not be made, or have settings that can lose
            records; every fault has a line.
    """
    names = {topic: settings.topic_prefix + topic for topic in Topic}
    there = await brokers.topics(names.values())
    missing = [topic for topic, name in names.items() if name not in there]
    if missing:
        await _make(settings, brokers, missing)
    await _grow(settings, brokers, there.get(names[Topic.SIGNALS]))
    there = await brokers.topics(names.values())
    faults = list(_faults(settings, there, await brokers.settings_of(there)))
    if faults:
        raise ConfigError("\n".join(faults))


async def _make(settings: KafkaConfig, brokers: Brokers, topics: Iterable[Topic]) -> None:
    names = [settings.topic_prefix + topic for topic in topics]
    if not settings.create_topics:
        raise ConfigError(
            f"bus.kafka: no topic {', '.join(names)} on the brokers, and create_topics is off; "
            "make them, or let dogwatch make them by create_topics: true"
        )
    kept = list(_wanted(settings).items())
    asked: list[tuple[str, int, int, list[object], list[tuple[str, str]]]] = [
        (
            settings.topic_prefix + topic,
            settings.partitions if topic is Topic.SIGNALS else 1,
            settings.replication_factor,
            [],
            kept,
        )
        for topic in topics
    ]
    answer = await brokers.send(CreateTopicsRequest(asked, REQUEST_MS, validate_only=False))
    for name, code, message in answer.topic_errors:
        await _made(settings, brokers, name, code, message)


async def _made(
    settings: KafkaConfig, brokers: Brokers, name: str, code: int, message: str | None
) -> None:
    if code in {0, _EXISTS}:
        if not code:
            LOG.info("topic made", topic=name)
        return
    if code in _NO_RIGHT:
        raise ConfigError(
            f"bus.kafka: no topic {name} on the brokers, and no right to make it; "
            "make it, or allow our user to create topics"
        )
    if code == _FEW_BROKERS:
        raise StoreError(
            f"bus.kafka: topic {name} can not be made: replication_factor is "
            f"{settings.replication_factor}, brokers that are up: {await brokers.count()}"
        )
    why = message or said(errors.for_code(code)())
    kind = StoreError if code == _TIMED_OUT else ConfigError
    raise kind(f"bus.kafka: topic {name} can not be made: {why}")


async def _grow(
    settings: KafkaConfig, brokers: Brokers, parts: tuple[Partition, ...] | None
) -> None:
    """Let `signals` have as many partitions as are configured: clusters stay where they are."""
    if parts is None or len(parts) >= settings.partitions or not settings.create_topics:
        return
    name = settings.topic_prefix + Topic.SIGNALS
    asked = [(name, (settings.partitions, None))]
    request = CreatePartitionsRequest(asked, REQUEST_MS, validate_only=False)
    answer = await brokers.send(request)
    for _, code, message in answer.topic_errors:
        if code:
            why = message or said(errors.for_code(code)())
            LOG.warning("topic stays small", topic=name, partitions=len(parts), error=why)
        else:
            LOG.info("topic grown", topic=name, partitions=settings.partitions)


def _wanted(settings: KafkaConfig) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(RECORD_SPACE),
        "min.insync.replicas": str(settings.min_insync_replicas),
        "retention.ms": str(round(settings.retain_s * 1000)),
        "unclean.leader.election.enable": "false",
    }


def _faults(
    settings: KafkaConfig, topics: Topics, found: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield what is wrong with topics that are there, a line each."""
    for topic in Topic:
        name = settings.topic_prefix + topic
        parts = topics.get(name, ())
        if not parts:
            # It was made a moment ago, and this broker has not heard of it yet.
            continue
        if topic is Topic.CONDITIONS and len(parts) > 1:
            yield (
                f"bus.kafka: topic {name} has {len(parts)} partitions; its records have one "
                "order, so it must have 1: delete it, and it is made again"
            )
        kept = found.get(name)
        if kept is None:
            LOG.warning("topic settings unknown", topic=name, error="no right to read them")
            kept = {}
        if int(kept.get("max.message.bytes", RECORD_SPACE)) < RECORD_SPACE:
            yield (
                f"bus.kafka: topic {name} has max.message.bytes {kept['max.message.bytes']}; "
                f"records have up to {RECORD_SPACE}: set it so"
            )
        for unsafe, says in _unsafe(settings, parts, kept):
            if unsafe not in settings.allow_unsafe:
                yield (
                    f"bus.kafka: topic {name} {says}, which can lose records: change it, "
                    f"or allow_unsafe: [{unsafe}]"
                )


def _unsafe(
    settings: KafkaConfig, parts: tuple[Partition, ...], kept: Mapping[str, str]
) -> Iterator[tuple[Unsafe, str]]:
    copies = min(len(part.replicas) for part in parts)
    if copies < settings.replication_factor:
        yield (
            "replication_factor",
            f"has {copies} of {settings.replication_factor} copies of a record",
        )
    in_sync = int(kept.get("min.insync.replicas", settings.min_insync_replicas))
    if in_sync < settings.min_insync_replicas:
        yield (
            "min_insync_replicas",
            f"has min.insync.replicas {in_sync}, less than {settings.min_insync_replicas}",
        )
    if kept.get("unclean.leader.election.enable", "false") != "false":
        yield "unclean_leader_election", "has unclean.leader.election.enable true"
    policy = kept.get("cleanup.policy", "delete")
    if policy != "delete":
        yield "cleanup_policy", f"has cleanup.policy {policy} instead of delete"
    retained = int(kept.get("retention.ms", -1))
    if 0 <= retained < settings.retain_s * 1000:
        yield (
            "retention",
            f"has retention.ms {retained}, less than retain_s of {settings.retain_s:g} s",
        )
