"""The bus on Kafka against a real broker: what is appended, where, and what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from engine.bus.codec import BATCH_LIMIT, RECORD_LIMIT, Bad, decode
from engine.bus.kafka import KafkaBus
from engine.bus.settings import KafkaConfig
from engine.bus.topics import Log, Topic
from engine.model.errors import ConfigError, StoreError
from tests.bus.kafka_setup import ONE_BROKER, PATIENCE_S, Places, a_signal, settings, until

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.real


async def _records(config: KafkaConfig, topic: Topic, partition: int) -> list[Any]:
    """Return what stands in one partition."""
    place = TopicPartition(config.topic_prefix + topic, partition)
    reader = AIOKafkaConsumer(bootstrap_servers=list(config.brokers), group_id=None)
    await reader.start()
    try:
        reader.assign([place])
        end = (await reader.end_offsets([place]))[place]
        reader.seek(place, 0)
        return [await reader.getone(place) for _ in range(end)]
    finally:
        await reader.stop()


async def _grown_to(bus: KafkaBus, partitions: int) -> None:
    """Wait until the broker that is asked knows of added partitions."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(log.topic is Topic.SIGNALS for log in await bus.ends()) != partitions:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _fault(bus: KafkaBus) -> str:
    """Return what the declaration says, once the broker knows of changed settings itself."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bus.declare()
            except ConfigError as refused:
                return str(refused)
            await asyncio.sleep(0.1)


async def test_signals_come_back_in_order_in_records_of_one_cluster(kafka: Cluster) -> None:
    config, places = settings(kafka), Places()
    sent = [a_signal(name, number) for number in range(BATCH_LIMIT + 1) for name in ("a", "b")]
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append(sent)
    for name in ("a", "b"):
        records = await _records(config, Topic.SIGNALS, places.kept[name])
        own = [record for record in records if record.key == name.encode()]
        assert [len(decode(record.value).signals) for record in own] == [BATCH_LIMIT, 1]
        found = [signal for record in own for signal in decode(record.value).signals]
        assert found == [one for one in sent if one.cluster == name]


async def test_appends_stand_in_the_order_in_which_they_were_made(kafka: Cluster) -> None:
    config, places = settings(kafka), Places()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        await asyncio.gather(*(bus.append([a_signal("a", number)]) for number in range(1, 200)))
    records = await _records(config, Topic.SIGNALS, places.kept["a"])
    ids = [decode(record.value).signals[0].id for record in records]
    assert ids == [f"a-{number}" for number in range(200)]


async def test_clusters_stay_where_they_are_when_partitions_are_added(kafka: Cluster) -> None:
    config, places = settings(kafka, partitions=2), Places()
    clusters = [f"c-{number}" for number in range(20)]
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append([a_signal(name) for name in clusters])
        before = dict(places.kept)
        async with KafkaBus(config.model_copy(update={"partitions": 8}), places) as grown:
            await grown.declare()
        await _grown_to(bus, 8)
        await bus.append([a_signal(name, 1) for name in clusters])
    # One that starts later knows of all partitions; old clusters stay all the same.
    async with KafkaBus(config, places) as bus:
        await bus.append([a_signal(name, 2) for name in [*clusters, "late-1", "late-2", "late-3"]])
    assert {name: places.kept[name] for name in clusters} == before
    assert {count for name, count in places.asked if name.startswith("late")} == {8}
    for name in clusters:
        records = await _records(config, Topic.SIGNALS, before[name])
        assert [r.key for r in records].count(name.encode()) == 3


async def test_a_cluster_placed_in_a_partition_that_is_new_is_found(kafka: Cluster) -> None:
    config, places = settings(kafka, partitions=1), Places()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        kafka.topics.grow(f"{config.topic_prefix}signals", 3)
        places.kept["b"] = 2
        await bus.append([a_signal("b")])
        assert (await bus.ends())[Log(Topic.SIGNALS, 2)] == 1
        assert await bus.lane("b") == 2


async def test_a_signal_too_large_for_any_record_does_not_block_those_after_it(
    kafka: Cluster,
) -> None:
    config, places = settings(kafka), Places()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append([a_signal("a", text="x" * (RECORD_LIMIT + 1)), a_signal("a", 1)])
    first, second = await _records(config, Topic.SIGNALS, places.kept["a"])
    assert not decode(first.value).signals
    assert decode(first.value).bad
    assert dict(first.headers)["dogwatch-cut-bytes"].isdigit()
    assert [signal.id for signal in decode(second.value).signals] == ["a-1"]


async def test_records_up_to_the_limit_pass(kafka: Cluster) -> None:
    config, places = settings(kafka), Places()
    size = (1 << 20) - 300
    sent = [a_signal("a", number, text="x" * size) for number in range(8)]
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await bus.append(sent)
    records = await _records(config, Topic.SIGNALS, places.kept["a"])
    assert max(len(record.value) for record in records) > (1 << 20)
    assert [s.id for record in records for s in decode(record.value).signals] == [
        signal.id for signal in sent
    ]


async def test_conditions_and_clocks_go_where_they_are_sent(kafka: Cluster) -> None:
    config = settings(kafka)
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        await bus.append_to(Topic.CONDITIONS, 0, [a_signal("", 1), a_signal("", 2)])
        await bus.append_to(Topic.SIGNALS, 3, [a_signal("", 3)])
        ends = await bus.ends()
    assert ends[Log(Topic.CONDITIONS, 0)] == 1
    assert ends[Log(Topic.SIGNALS, 3)] == 1
    assert Topic.QUARANTINE not in {log.topic for log in ends}


async def test_what_can_not_be_read_is_archived_with_bytes_headers_and_reason(
    kafka: Cluster,
) -> None:
    config = settings(kafka)
    bad = Bad("bad-json", "what it says", b'\xff\x00[{"a":')
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        await bus.quarantine(3, 17, [bad], {"trace": "f\u00fcr", "huge": "x" * 100_000})
    (record,) = await _records(config, Topic.QUARANTINE, 0)
    headers = dict(record.headers)
    assert record.value == bad.raw
    assert headers["dogwatch-reason"] == b"bad-json"
    assert (headers["dogwatch-partition"], headers["dogwatch-offset"]) == (b"3", b"17")
    assert headers["trace"].decode() == "f\u00fcr"
    assert "huge" not in headers


async def test_topics_are_made_as_configured_and_found_good_again(kafka: Cluster) -> None:
    config = settings(kafka, retain_s=7200)
    bus = KafkaBus(config, Places())
    await bus.declare()
    await bus.declare()
    assert len(kafka.topics.leaders(f"{config.topic_prefix}signals")) == 4
    assert len(kafka.topics.leaders(f"{config.topic_prefix}conditions")) == 1
    await bus.aclose()


@pytest.mark.parametrize(
    ("changed", "name", "says"),
    [
        ({"retention_ms": "1000"}, "retention", "retention.ms 1000"),
        ({"cleanup_policy": "compact"}, "cleanup_policy", "cleanup.policy compact"),
        (
            {"unclean_leader_election_enable": "true"},
            "unclean_leader_election",
            "unclean.leader.election.enable true",
        ),
    ],
)
async def test_settings_that_lose_records_are_refused_unless_allowed_by_name(
    kafka: Cluster, changed: dict[str, str], name: str, says: str
) -> None:
    config = settings(kafka)
    bus = KafkaBus(config, Places())
    await bus.declare()
    topic = f"{config.topic_prefix}signals"
    kafka.topics.configure(topic, max_message_bytes=str(5 << 20), **changed)
    assert await _fault(bus) == (
        f"bus.kafka: topic {topic} has {says}"
        f"{', less than retain_s of 604800 s' if name == 'retention' else ''}"
        f"{' instead of delete' if name == 'cleanup_policy' else ''}"
        f", which can lose records: change it, or allow_unsafe: [{name}]"
    )
    await bus.aclose()
    allowed = config.model_copy(update={"allow_unsafe": (*config.allow_unsafe, name)})
    bus = KafkaBus(allowed, Places())
    await bus.declare()
    await bus.aclose()


async def test_every_fault_of_a_topic_has_a_line(kafka: Cluster) -> None:
    config = settings(kafka)
    kafka.topics.create(f"{config.topic_prefix}signals", 4, max_message_bytes="1048588")
    kafka.topics.create(f"{config.topic_prefix}conditions", 3, max_message_bytes=str(5 << 20))
    careful = config.model_copy(
        update={"replication_factor": 3, "min_insync_replicas": 2, "allow_unsafe": ()}
    )
    bus = KafkaBus(careful, Places())
    kafka.topics.create(f"{config.topic_prefix}quarantine", 1, max_message_bytes=str(5 << 20))
    with pytest.raises(ConfigError) as refused:
        await bus.declare()
    await bus.aclose()
    lines = str(refused.value).splitlines()
    assert sum("max.message.bytes 1048588; records have up to" in line for line in lines) == 1
    assert sum("has 3 partitions; its records have one order" in line for line in lines) == 1
    assert sum("1 of 3 copies" in line for line in lines) == 3
    assert sum("min.insync.replicas 1, less than 2" in line for line in lines) == 3
    assert len(lines) == 8


async def test_topics_are_not_made_where_that_is_off(kafka: Cluster) -> None:
    config = settings(kafka, create_topics=False)
    bus = KafkaBus(config, Places())
    with pytest.raises(ConfigError, match="create_topics is off") as refused:
        await bus.declare()
    assert "\n" not in str(refused.value)
    assert not [one for one in kafka.topics.names() if one.startswith(config.topic_prefix)]
    await bus.aclose()


async def test_more_copies_than_brokers_is_one_line_that_names_both(kafka: Cluster) -> None:
    config = settings(kafka, replication_factor=3, min_insync_replicas=2, allow_unsafe=[])
    bus = KafkaBus(config, Places())
    with pytest.raises(StoreError, match="replication_factor is 3, brokers that are up: 1"):
        await bus.declare()
    await bus.aclose()


async def test_a_missing_topic_refuses_an_append_and_heals_when_it_is_made(
    kafka: Cluster,
) -> None:
    config = settings(kafka)
    async with KafkaBus(config, Places(), delivery_s=3) as bus:
        with pytest.raises(StoreError, match="no topic"):
            await bus.append([a_signal("a")])
        assert bus.problem
        with pytest.raises(StoreError, match="no topic"):
            await bus.check()
        await bus.declare()
        await bus.check()
        assert not bus.problem
        await bus.append([a_signal("a")])


async def test_brokers_that_are_away_refuse_in_one_line_and_heal_when_they_come(
    kafka: Cluster,
) -> None:
    config = settings(kafka)
    async with KafkaBus(config, Places(), delivery_s=3) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        await asyncio.to_thread(kafka.stop)
        with pytest.raises(StoreError) as refused:
            await bus.append([a_signal("a", 1)])
        assert str(refused.value) == f"bus.kafka: {kafka.bootstrap}: connection refused"
        assert bus.problem == str(refused.value)
        await asyncio.to_thread(kafka.start)
        await bus.check()
        assert not bus.problem
        await bus.append([a_signal("a", 2)])
        assert (await bus.ends())[Log(Topic.SIGNALS, await bus.lane("a"))] == 2


async def test_brokers_that_are_away_at_the_start_are_a_problem_and_heal(kafka: Cluster) -> None:
    config = settings(kafka)
    await asyncio.to_thread(kafka.stop)
    async with KafkaBus(config, Places(), delivery_s=3) as bus:
        assert bus.problem == f"bus.kafka: {kafka.bootstrap}: connection refused"
        with pytest.raises(StoreError, match="connection refused"):
            await bus.declare()
        await asyncio.to_thread(kafka.start)
        await bus.declare()
        await bus.append([a_signal("a")])
        assert not bus.problem


async def test_an_unknown_host_is_named() -> None:
    config = KafkaConfig(brokers=["no-such-host.invalid:9092"], **ONE_BROKER)
    async with KafkaBus(config, Places()) as bus:
        assert bus.problem == "bus.kafka: no-such-host.invalid:9092: unknown host"


def _sasl(folder: Path, user: str, password: str) -> dict[str, Any]:
    (folder / "password").write_text(f"{password}\n")
    return {
        "mechanism": "SCRAM-SHA-512",
        "username": user,
        "password_file": str(folder / "password"),
    }


async def test_a_wrong_password_is_said_without_it_and_a_right_one_heals(
    kafka: Cluster, tmp_path: Path
) -> None:
    brokers = kafka.sasl_bootstrap.split(",")
    sasl = _sasl(tmp_path, "dogwatch", "a wrong password")
    config = settings(kafka, brokers=brokers, sasl=sasl)
    async with KafkaBus(config, Places()) as bus:
        assert bus.problem == (
            f"bus.kafka: {brokers[0]}: user 'dogwatch' or its password was refused"
        )
        with pytest.raises(StoreError, match="was refused"):
            await bus.append([a_signal("a")])
        (tmp_path / "password").write_text("correct-horse\n")
        await bus.declare()
        await bus.append([a_signal("a")])
        assert not bus.problem


async def test_a_user_without_rights_is_told_so(kafka: Cluster, tmp_path: Path) -> None:
    async with KafkaBus(config := settings(kafka), Places()) as bus:
        await bus.declare()
    guest = config.model_copy(
        update={
            "brokers": tuple(kafka.sasl_bootstrap.split(",")),
            "sasl": settings(kafka, sasl=_sasl(tmp_path, "guest", "no-guests")).sasl,
        }
    )
    bus = KafkaBus(guest, Places())
    with pytest.raises((StoreError, ConfigError), match="no right"):
        await bus.declare()
    with pytest.raises(StoreError, match="no right"):
        await bus.append([a_signal("a")])
    await bus.aclose()


async def test_a_missing_password_file_is_named(kafka: Cluster, tmp_path: Path) -> None:
    sasl = {"username": "dogwatch", "password_file": str(tmp_path / "nothing")}
    config = settings(kafka, brokers=kafka.sasl_bootstrap.split(","), sasl=sasl)
    async with KafkaBus(config, Places()) as bus:
        assert bus.problem == (
            f"bus.kafka.sasl.password_file: {tmp_path / 'nothing'} can not be used: "
            "No such file or directory"
        )


async def test_tls_and_sasl_reach_the_broker(kafka: Cluster, tmp_path: Path) -> None:
    config = settings(
        kafka,
        brokers=kafka.sasl_tls_bootstrap.split(","),
        tls={"ca_file": str(kafka.authority.certificate)},
        sasl=_sasl(tmp_path, "dogwatch", "correct-horse"),
    )
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])


@pytest.mark.parametrize(
    ("listener", "tls", "says"),
    [
        ("tls_bootstrap", True, "its certificate is not trusted"),
        ("tls_bootstrap", False, "it closed the connection; we speak plaintext"),
        ("bootstrap", True, "TLS"),
        ("sasl_bootstrap", False, "it closed the connection"),
    ],
)
async def test_a_port_that_speaks_another_way_is_said_in_one_line(
    kafka: Cluster, listener: str, tls: bool, says: str
) -> None:
    brokers = getattr(kafka, listener).split(",")
    config = settings(kafka, brokers=brokers, tls={} if tls else None)
    async with KafkaBus(config, Places()) as bus:
        await until(lambda: bus.problem)
        assert says.lower() in bus.problem.lower()
        assert "\n" not in bus.problem


async def test_appends_that_wait_are_refused_together_and_none_comes_late(
    kafka: Cluster,
) -> None:
    config, places = settings(kafka), Places()
    async with KafkaBus(config, places, delivery_s=3) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        await asyncio.to_thread(kafka.stop)
        waiting = [bus.append([a_signal("a", number)]) for number in range(1, 6)]
        outcome = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, StoreError) for one in outcome)
        await asyncio.to_thread(kafka.start)
        await bus.append([a_signal("a", 6)])
    records = await _records(config, Topic.SIGNALS, places.kept["a"])
    ids = [decode(record.value).signals[0].id for record in records]
    assert ids == ["a-0", "a-6"]
