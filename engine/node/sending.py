"""Posting a report: what is new of it, to one receiver, and what to make of the answer."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import msgspec

from engine.model.errors import ConfigError, Retryable
from engine.model.node_report import Device, Report

RESEND_S: Final = 3600.0
"""How often a device is told again that does not change."""
TIMEOUT_S: Final = 10.0
_LONGEST_WAIT_S: Final = 300.0
_BUSY: Final = frozenset({408, 425, 429})


class RefusedError(Retryable):
    """The receiver said no: a wrong token, a wrong address. Somebody may put it right."""


@dataclass
class Accepted:
    """What the receiver has taken: by device the bytes, and when they were told."""

    told: dict[tuple[str, str], tuple[bytes, float]] = field(default_factory=dict)

    def marked(self, report: Report, now: float) -> Report:
        """Return `report` with each device marked that is as it was told lately."""
        devices = [
            msgspec.structs.replace(one, same=True) if self._same(one, now) else one
            for one in report.devices
        ]
        return msgspec.structs.replace(report, devices=devices)

    def take(self, report: Report, now: float) -> None:
        """Take note that `report` was taken."""
        self.told = {
            (one.kind, one.key): self.told[one.kind, one.key] if one.same else (_bytes(one), now)
            for one in report.devices
        }

    def _same(self, device: Device, now: float) -> bool:
        told = self.told.get((device.kind, device.key))
        return told is not None and told[0] == _bytes(device) and now - told[1] < RESEND_S


def _bytes(device: Device) -> bytes:
    return msgspec.json.encode((device.name, device.fields))


class Sender:
    """Posts to `url`; the token is read anew each time, so that it may be replaced.

    Raises:
        ConfigError: `ca_file` holds no certificates.
    """

    def __init__(self, url: str, token_file: str, ca_file: str | None) -> None:
        self._url = url
        self._token_file = Path(token_file)
        self._client = httpx.AsyncClient(
            verify=_trust(ca_file), trust_env=False, timeout=TIMEOUT_S, follow_redirects=False
        )

    async def post(self, report: Report) -> None:
        """Post `report` once. Raises RefusedError, or Retryable where no good answer came."""
        try:
            token = self._token_file.read_text().partition("\n")[0].strip()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            body = msgspec.json.encode(report)
            answer = await self._client.post(self._url, content=body, headers=headers)
        except (OSError, ValueError) as error:
            raise RefusedError(f"the token cannot be read: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise Retryable(f"no answer: {type(error).__name__}") from None
        if answer.is_success:
            return
        said = f"the receiver answered {answer.status_code}"
        wait = _wait(answer.headers)
        if answer.status_code in _BUSY or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Retryable(said, retry_after_s=wait)
        raise RefusedError(said, retry_after_s=wait)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After, at most some minutes."""
    text = headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() else None


def _trust(ca_file: str | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"node.ca_file {ca_file}: holds no PEM certificate") from error
    return context
