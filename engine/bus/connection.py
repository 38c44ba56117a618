"""How brokers are reached: one connection's settings, and what went wrong in one line."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiokafka.client
from aiokafka import errors
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from engine.bus.settings import KafkaConfig, TlsConfig
from engine.model.errors import ConfigError

REQUEST_MS: Final = 10_000
"""How long one request to a broker may take."""
METADATA_MS: Final = 10_000
"""How old what is known of topics may be: new partitions are noticed by then."""
RETRY_MS: Final = 500
PROBE_MS: Final = 3_000
_SHOWN: Final = 3
_WORDS: Final = 200
_LOGGERS: Final = ("aiokafka", "faust", "mode")
_ABOVE_ALL: Final = logging.CRITICAL + 1

_SAID: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.TopicAuthorizationFailedError, "no right to use the topic"),
    (errors.GroupAuthorizationFailedError, "no right to use the group"),
    (errors.ClusterAuthorizationFailedError, "no right to produce or to make topics"),
    (errors.UnknownTopicOrPartitionError, "there is no such topic or partition"),
    (errors.NotEnoughReplicasError, "too few replicas are in sync"),
    (errors.NotEnoughReplicasAfterAppendError, "too few replicas are in sync"),
    (errors.MessageSizeTooLargeError, "the record is larger than max.message.bytes of the topic"),
    (errors.KafkaStorageError, "a broker can not write to its disk"),
    (errors.InvalidSessionTimeoutError, "session_timeout_s is out of the range of the brokers"),
)

# Brokers may make each topic that a client asks about, with partitions and copies of their own
# liking, and clusters would be placed in it for good. The client has no setting against it.
aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)


def quiet() -> None:
    """Let the clients log nothing: what matters is said once, by `problem`.

    They repeat each failed attempt, some twice a second. Who set a level of their own for one
    of these loggers keeps it.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(_ABOVE_ALL)


def connection(settings: KafkaConfig, client: str) -> dict[str, Any]:
    """Return the arguments that every client of aiokafka takes; files are read anew.

    Args:
        settings: where the brokers are, and who we are.
        client: our name in the logs of the brokers.

    Raises:
        ConfigError: a file of `tls` or `sasl` is missing or is not what it should be.
    """
    given: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": client,
        "request_timeout_ms": REQUEST_MS,
        "metadata_max_age_ms": METADATA_MS,
        "retry_backoff_ms": RETRY_MS,
        "security_protocol": "PLAINTEXT",
    }
    if settings.tls is not None:
        given["security_protocol"] = "SSL"
        given["ssl_context"] = _context(settings.tls)
    if settings.sasl is not None:
        given["security_protocol"] = f"SASL_{given['security_protocol']}"
        given["sasl_mechanism"] = settings.sasl.mechanism
        given["sasl_plain_username"] = settings.sasl.username
        given["sasl_plain_password"] = _password(Path(settings.sasl.password_file))
    return given


async def trouble(settings: KafkaConfig, error: BaseException | None = None) -> str:
    """Return in one line why the brokers can not be used, asking each for it.

    Args:
        settings: the brokers are asked one after the other, each for PROBE_MS at most.
        error: what a client said; it is told where the brokers answer all the same.
    """
    try:
        given = connection(settings, "dogwatch-probe")
    except ConfigError as refused:
        return str(refused)
    found = [await _probe(broker, given) for broker in settings.brokers[:_SHOWN]]
    bad = [f"{broker}: {why}" for broker, why in zip(settings.brokers, found, strict=False) if why]
    if len(bad) == len(found) or error is None:
        return f"bus.kafka: {'; '.join(bad)}" if bad else ""
    return f"bus.kafka: {said(error)}"


def said(error: BaseException) -> str:
    """Return what `error` of a client means, in a few words without a stack."""
    for kind, words in _SAID:
        if isinstance(error, kind):
            more = [str(one) for one in error.args if isinstance(one, str)]
            return f"{words}: {', '.join(more)}" if more else words
    if isinstance(error, TimeoutError | errors.KafkaTimeoutError | errors.RequestTimedOutError):
        return "no answer in time"
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_WORDS]


def _context(tls: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ValueError) as error:
        raise ConfigError(_unreadable("tls.ca_file", tls.ca_file, error)) from error
    if tls.cert_file is not None:
        try:
            # Without a password there is no prompt for one: an encrypted key is refused.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ValueError) as error:
            raise ConfigError(_unreadable("tls.cert_file", tls.cert_file, error)) from error
    return context


def _password(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(_unreadable("sasl.password_file", path, error)) from error
    if not lines or not lines[0]:
        raise ConfigError(f"bus.kafka.sasl.password_file: {path} is empty")
    return lines[0]


def _unreadable(name: str, path: object, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return f"bus.kafka.{name}: {path} can not be used: {why}"


async def _probe(broker: str, given: dict[str, Any]) -> str:
    """Return why `broker` can not be used, empty where it can."""
    host, _, port = broker.rpartition(":")
    known = ("security_protocol", "ssl_context", "client_id")
    own = {key: value for key, value in given.items() if key in known or key.startswith("sasl_")}
    try:
        async with asyncio.timeout(PROBE_MS / 1000):
            opened = await create_conn(
                host.strip("[]"), int(port), request_timeout_ms=PROBE_MS, **own
            )
            with _closed(opened):
                await opened.send(MetadataRequest([], allow_auto_topic_creation=False))
    except (OSError, EOFError, errors.KafkaError) as error:
        return _refusal(error, given)
    return ""


@contextlib.contextmanager
def _closed(opened: Any) -> Iterator[None]:
    try:
        yield
    finally:
        opened.close()


def _refusal(error: Exception, given: dict[str, Any]) -> str:
    if isinstance(error, socket.gaierror):
        return "unknown host"
    if isinstance(error, TimeoutError):
        return f"no answer within {PROBE_MS // 1000} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return _mismatch(error, given)


def _mismatch(error: Exception, given: dict[str, Any]) -> str:
    """Return what it means that broker and client do not speak alike."""
    if isinstance(error, ssl.SSLError):
        return "TLS failed; does this port speak TLS, and accept our certificate?"
    if isinstance(error, errors.SaslAuthenticationFailed | errors.AuthenticationFailedError):
        return f"user {given['sasl_plain_username']!a} or its password was refused"
    if isinstance(error, errors.UnsupportedSaslMechanismError | errors.IllegalSaslStateError):
        return f"it does not take {given['sasl_mechanism']}"
    if isinstance(error, EOFError | ConnectionError | errors.KafkaConnectionError):
        asked = given["security_protocol"].replace("SSL", "TLS").replace("_", " with ")
        return f"it closed the connection; we speak {asked.lower()}, does it want another way?"
    return said(error)
