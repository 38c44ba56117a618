"""Webhook: a signed POST to a receiver of yours, after Standard Webhooks 1.0."""

import json
from base64 import b64decode
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from standardwebhooks import Webhook

from engine.model.delivery import Delivery, Receipt
from engine.model.errors import Retryable
from sinks.answers import judge, retry_after
from sinks.egress import EgressOptions, target_of
from sinks.registry import Line, Thread, sink
from sinks.secret import one_of, reveal

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_MIN_KEY, _MAX_KEY = 24, 64


def _header_name(name: str) -> str:
    if not name or not set(name.lower()) <= _TOKEN:
        raise ValueError("is no header name")
    if name.lower() in _OURS:
        raise ValueError(f"'{name}' is set by dogwatch")
    return name


HeaderName = Annotated[str, AfterValidator(_header_name)]


class WebhookConfig(EgressOptions):
    """A receiver of signed webhooks.

    Attributes:
        url: https URL of the receiver; a secret, as many carry a token. Or `url_file`.
        secret: base64 key of 24 to 64 bytes, with or without `whsec_`. Or `secret_file`;
            several keys in the file, one a line, each give a signature (rotation).
        headers: further headers; values are secrets.
        header_files: the same, each value read from a file at each send.
    """

    url: SecretStr | None = None
    url_file: str | None = None
    secret: SecretStr | None = None
    secret_file: str | None = None
    headers: dict[HeaderName, SecretStr] = Field(default_factory=dict)
    header_files: dict[HeaderName, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, "url", needed=True)
        one_of(self, "secret", needed=True)
        if self.url is not None:
            target_of(self.url.get_secret_value(), allow_http=self.allow_loopback_http)
        if self.secret is not None:
            signers(self.secret.get_secret_value())
        for name, value in self.headers.items():
            header_value(name, value.get_secret_value())
        return self


@sink("webhook", config=WebhookConfig)
async def send_webhook(
    line: Line[WebhookConfig], delivery: Delivery, thread: Thread | None
) -> Receipt:
    """POST the delivery once, signed; the key is the same on every attempt.

    Args:
        line: options, clock and client.
        delivery: what to tell; the body holds it whole, with its report.
        thread: not used, a receiver groups by `data.incident`.

    Raises:
        Retryable: 408, 425, 429, 5xx, no answer, or a secret file that cannot be read.
        Rejected: any other answer, or a URL that may not be used.

    Source: Standard Webhooks specification 1.0 (headers, signature v1, payload form).
    """
    del thread
    options = line.options
    url = reveal(options.url, options.url_file) or ""
    body = payload(delivery)
    headers = _headers(line, delivery.key, body)
    answer = await line.egress.post(url, body.encode(), headers)
    wait_s = retry_after(answer.headers.get("retry-after"), line.clock.now())
    judge(answer.status, "the receiver", retry_after_s=wait_s)
    return Receipt(detail=f"answered {answer.status}")


def payload(delivery: Delivery) -> str:
    """Return the body: the same text on every attempt."""
    data = delivery.model_dump(mode="json")
    value: dict[str, Any] = {
        "type": f"dogwatch.{delivery.change}",
        "timestamp": data["at"],
        "data": data,
    }
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)


def signers(secret: str) -> list[Webhook]:
    """Return one signer per key of `secret` (one a line).

    Raises:
        ValueError: one is not base64, or has fewer than 24 or more than 64 bytes.
    """
    found = []
    for word in secret.split():
        text = word.removeprefix("whsec_").rstrip("=")
        try:
            key = b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            raise ValueError("the secret is no base64 text") from None
        if not _MIN_KEY <= len(key) <= _MAX_KEY:
            raise ValueError(
                f"the secret has {len(key)} bytes, allowed are {_MIN_KEY} to {_MAX_KEY}; "
                "make one with: openssl rand -base64 32"
            )
        found.append(Webhook(key))
    if not found:
        raise ValueError("the secret is empty")
    return found


def header_value(name: str, value: str) -> str:
    """Return `value`, checked to be one line of visible ASCII."""
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"header {name}: its value must be one line of ASCII")
    return value


def _headers(line: Line[WebhookConfig], key: str, body: str) -> dict[str, str]:
    options = line.options
    now = line.clock.now()
    try:
        keys = signers(reveal(options.secret, options.secret_file) or "")
        own = {name: value.get_secret_value() for name, value in options.headers.items()}
        for name, file in options.header_files.items():
            own[name] = header_value(name, reveal(None, file) or "")
    except ValueError as error:
        raise Retryable(str(error)) from None
    return {
        **own,
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signer.sign(key, now, body) for signer in keys),
    }
