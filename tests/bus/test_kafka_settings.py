"""What the configuration of the bus on Kafka refuses, and how it says so."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine.bus.settings import KafkaConfig
from engine.bus.topics import CONDITIONS_PARTITION, Log, Topic
from tests.bus.kafka_setup import ONE_BROKER


def _refused(**given: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        KafkaConfig(**{"brokers": ["kafka-1:9092"], **given})
    return str(refused.value)


def test_the_defaults_lose_nothing_with_one_broker_of_three() -> None:
    config = KafkaConfig(brokers=["kafka-1:9092"])
    assert (config.replication_factor, config.min_insync_replicas) == (3, 2)
    assert config.allow_unsafe == ()


@pytest.mark.parametrize("broker", ["kafka-1", "kafka-1:", ":9092", "a:0", "a:65536", "http://a:1"])
def test_a_broker_needs_host_and_port(broker: str) -> None:
    told = _refused(brokers=[broker])
    assert "entry 1 is no HOST:PORT, for example kafka-1:9092" in told


@pytest.mark.parametrize("broker", ["kafka-1.example:9092", "[::1]:9092", "10.0.0.1:1"])
def test_names_and_addresses_are_brokers(broker: str) -> None:
    assert KafkaConfig(brokers=[broker]).brokers == (broker,)


def test_one_copy_of_a_record_must_be_allowed_by_name() -> None:
    text = _refused(replication_factor=1, min_insync_replicas=1)
    assert "allow_unsafe: [replication_factor, min_insync_replicas]" in text
    assert KafkaConfig(brokers=["a:1"], **ONE_BROKER).replication_factor == 1


def test_more_replicas_in_sync_than_there_are_is_refused() -> None:
    assert "nothing could be written" in _refused(replication_factor=2, min_insync_replicas=3)


@pytest.mark.parametrize("prefix", [".", "..", "a b.", "a/"])
def test_a_prefix_must_make_names_of_topics(prefix: str) -> None:
    assert "topic_prefix" in _refused(topic_prefix=prefix)


def test_half_a_certificate_is_refused() -> None:
    assert "belong together" in _refused(tls={"cert_file": "a.pem"})


def test_only_known_names_can_be_allowed() -> None:
    assert "replication_factor" in _refused(allow_unsafe=["everything"])


def test_logs_have_the_numbers_of_the_store() -> None:
    assert Log(Topic.SIGNALS, 7).stored == 7
    assert Log(Topic.CONDITIONS, 0).stored == CONDITIONS_PARTITION == -2
