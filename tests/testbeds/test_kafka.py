"""Brokers of the test beds keep what they took, refuse who has no right, and fail when told to."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from tests.testbeds.kafka import Cluster, Installed
from tests.testbeds.process import eventually
from tests.testbeds.properties import GUEST, PASSWORDS, USER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


async def _send(bootstrap: str, topic: str, *values: bytes, **options: Any) -> None:
    """Produce to partition 0; each is durable when this returns."""
    async with _producer(bootstrap, **options) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


@asynccontextmanager
async def _producer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    options = {"request_timeout_ms": 5000, **options}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **options)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


def _login(user: str, password: str, mechanism: str) -> dict[str, str]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def test_what_a_broker_took_is_there_after_it_was_killed(kafka: Cluster) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    asyncio.run(_send(kafka.bootstrap, topic, b"one", b"two"))
    kafka.kill()
    assert not kafka.topics.nodes()
    kafka.start()
    assert kafka.topics.ends(topic) == {0: 2}


def test_a_broker_that_stands_still_answers_again_when_it_goes_on(kafka: Cluster) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    kafka.pause()
    # It may stop a moment later only: then it is met, and does not answer.
    with pytest.raises((KafkaConnectionError, RequestTimedOutError)):
        asyncio.run(_send(kafka.bootstrap, topic, b"one", request_timeout_ms=500))
    kafka.resume()
    asyncio.run(_send(kafka.bootstrap, topic, b"two"))


def test_topics_grow_are_configured_and_go(kafka: Cluster) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic, partitions=2, retention_ms="60000")
    with pytest.raises(TopicAlreadyExistsError):
        kafka.topics.create(topic)
    kafka.topics.grow(topic, 5)
    assert sorted(kafka.topics.leaders(topic)) == [0, 1, 2, 3, 4]
    kafka.topics.configure(topic, max_message_bytes="100")
    with pytest.raises(KafkaError, match="MessageSizeTooLarge"):
        asyncio.run(_send(kafka.bootstrap, topic, b"x" * 1000))
    kafka.topics.delete(topic)
    assert topic not in kafka.topics.names()


def test_prefixes_differ_and_their_topics_are_swept(kafka: Cluster) -> None:
    first, second = kafka.topic_prefix(), kafka.topic_prefix()
    assert first != second
    kafka.topics.create(first + "signals")
    kafka.topics.create("kept")
    kafka.sweep()
    assert first + "signals" not in kafka.topics.names()
    assert "kept" in kafka.topics.names()
    kafka.topics.delete("kept")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_right_password_is_taken_and_a_wrong_one_refused(
    kafka: Cluster, mechanism: str
) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    right, wrong = _login(USER, PASSWORDS[USER], mechanism), _login(USER, "guess", mechanism)
    await _send(kafka.sasl_bootstrap, topic, b"one", **right)
    with pytest.raises(KafkaError):
        await _send(kafka.sasl_bootstrap, topic, b"two", **wrong)
    assert kafka.topics.ends(topic) == {0: 1}


async def test_a_guest_may_do_nothing(kafka: Cluster) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    login = _login(GUEST, PASSWORDS[GUEST], "SCRAM-SHA-512")
    with pytest.raises(TopicAuthorizationFailedError):
        await _send(kafka.sasl_bootstrap, topic, b"one", **login)


async def test_tls_is_the_authoritys_own(kafka: Cluster) -> None:
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    tls: dict[str, Any] = {"security_protocol": "SSL"}
    trusting = kafka.authority.client_context()
    await _send(kafka.tls_bootstrap, topic, b"one", **tls, ssl_context=trusting)
    with pytest.raises(KafkaError):
        await _send(
            kafka.tls_bootstrap, topic, b"two", **tls, ssl_context=ssl.create_default_context()
        )
    login = {**_login(USER, PASSWORDS[USER], "PLAIN"), "security_protocol": "SASL_SSL"}
    await _send(kafka.sasl_tls_bootstrap, topic, b"three", **login, ssl_context=trusting)
    assert kafka.topics.ends(topic) == {0: 2}


async def test_a_client_with_a_certificate_is_its_name(kafka: Cluster) -> None:
    """The name has the right that the user has; another name has none."""
    topic = kafka.topic_prefix() + "signals"
    kafka.topics.create(topic)
    for name, may in ((USER, True), (GUEST, False)):
        pair = kafka.authority.sign(name)
        context = kafka.authority.client_context()
        context.load_cert_chain(pair.certificate, pair.key)
        options: dict[str, Any] = {"security_protocol": "SSL", "ssl_context": context}
        if may:
            await _send(kafka.tls_bootstrap, topic, b"one", **options)
        else:
            with pytest.raises(TopicAuthorizationFailedError):
                await _send(kafka.tls_bootstrap, topic, b"two", **options)


@pytest.fixture(scope="module")
def three(
    kafka_installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("three"), kafka_installed) as brokers:
        yield brokers


def test_when_a_leader_is_killed_another_leads_and_nothing_is_lost(three: Cluster) -> None:
    three.topics.create("bounced", replicas=3)
    asyncio.run(_send(three.bootstrap, "bounced", b"one"))
    leader = three.topics.leaders("bounced")[0]
    three.kill([leader])
    three.await_serving()
    assert three.topics.leaders("bounced")[0] != leader
    asyncio.run(_send(three.bootstrap, "bounced", b"two"))
    three.start([leader])
    assert eventually(lambda: three.topics.replicas("bounced")[0] == {1, 2, 3} or None)
    assert three.topics.ends("bounced") == {0: 2}


def test_a_killed_controller_is_replaced(three: Cluster) -> None:
    before = three.controller()
    assert before in {1, 2, 3}
    three.kill([before])
    assert eventually(lambda: three.controller() != before or None)
    three.topics.create("made-by-another", replicas=2)
    three.start([before])
