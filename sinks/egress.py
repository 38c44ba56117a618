"""HTTP out of the cluster: one bounded POST to a checked address, nothing followed."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import AfterValidator, Field, PositiveFloat

from engine.model.errors import Rejected, Retryable
from sinks.addresses import Address, Network, checked
from sinks.secret import SinkOptions
from sinks.trust import trust

MAX_BODY = 65_536
"""Bytes of an answer that are read; the rest is dropped."""

_CONNECT_S = 3.0
_BODY_S = 2.0
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=30.0)
_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_S).as_dict()
_PORTS = {"https": 443, "http": 80}


def _network(text: str) -> str:
    ip_network(text)
    return text


class EgressOptions(SinkOptions):
    """How a sink over HTTP may connect.

    Attributes:
        timeout_s: bound of the whole exchange: name, connection, TLS, request and answer.
        allow_loopback_http: loopback addresses may be used, also without TLS; for tests and
            for receivers in the same pod.
        allow_networks: further networks (CIDR) that are not public but meant.
        ca_file: further certificate authorities (PEM) to trust.
    """

    timeout_s: PositiveFloat = Field(default=10.0, le=60.0)
    allow_loopback_http: bool = False
    allow_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    ca_file: str | None = None

    def networks(self) -> tuple[Network, ...]:
        """Return the networks that may be used though they are not public."""
        loopback = _LOOPBACK if self.allow_loopback_http else ()
        return (*loopback, *map(ip_network, self.allow_networks))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; `body` may be cut short at MAX_BODY or by a slow sender."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart; `host` is ASCII, `path` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, allow_http: bool) -> Target:
    """Return `url` taken apart; an error about it never repeats more than its scheme.

    Raises:
        ValueError: it is no absolute https URL (http where `allow_http`), or it holds what
            programs read differently: blanks, backslashes, credentials, a zone.
    """
    if not url.isprintable() or any(char in url for char in " \\"):
        raise ValueError("the URL holds blanks, backslashes or control characters")
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_http else ("https",)
    if parts.scheme not in schemes:
        hint = "" if allow_http else "; http only with allow_loopback_http: true"
        raise ValueError(f"the URL must begin with https:// , not '{parts.scheme[:16]}'{hint}")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise ValueError("the URL holds credentials or a zone; put credentials into headers")
    try:
        host = (parts.hostname or "").rstrip(".").encode("idna").decode()
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ValueError("the URL has no usable host and port") from None
    if not host:
        raise ValueError("the URL has no host")
    return Target(parts.scheme, host, port, _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class Egress:
    """A client for one sink; connections are kept between sends until `aclose`.

    It stands on the transport alone: no redirects, no proxies, no cookies, and no log line
    with a URL in it.
    """

    def __init__(self, options: EgressOptions) -> None:
        self._options = options
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST `body` once and return the answer, whatever its status.

        Raises:
            Rejected: the URL may not be used (form, scheme, address).
            Retryable: no answer came: name, network, TLS, or `timeout_s` is over.
        """
        try:
            target = target_of(url, allow_http=self._options.allow_loopback_http)
        except ValueError as error:
            raise Rejected(str(error)) from None
        limit_s = self._options.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._post(target, body, headers)
        except TimeoutError:
            raise Retryable(f"{target.host}: no answer within {limit_s:g} s") from None

    async def aclose(self) -> None:
        """Close the connections that were kept."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        addresses = await checked(target.host, target.port, self._options.networks())
        if target.scheme == "http" and not all(address.is_loopback for address in addresses):
            raise Rejected(f"{target.host}: http without TLS is for loopback addresses only")
        fault = ""
        for address in addresses:
            request = _request(target, address, body, headers)
            try:
                return await self._exchange(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                fault = _said(error)
            except httpx.HTTPError as error:
                raise Retryable(f"{target.host}: {_said(error)}") from None
        raise Retryable(f"{target.host}: {fault}")

    async def _exchange(self, request: httpx.Request) -> Answer:
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(
                verify=trust(self._options.ca_file), trust_env=False, limits=_LIMITS
            )
        response = await self._transport.handle_async_request(request)
        try:
            body = await _read(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, body)


def _request(
    target: Target, address: Address, body: bytes, headers: Mapping[str, str]
) -> httpx.Request:
    """Return the request to `address`; name and certificate stay those of the target."""
    literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    return httpx.Request(
        "POST",
        f"{target.scheme}://{literal}:{target.port}{target.path}",
        content=body,
        headers={
            "User-Agent": "dogwatch",
            "Accept-Encoding": "identity",
            **headers,
            "Host": target.authority,
        },
        extensions={"sni_hostname": target.host, "timeout": _TIMEOUT},
    )


async def _read(response: httpx.Response) -> bytes:
    """Return the body as far as it comes in time; the status is known already."""
    body = bytearray()
    if not isinstance(response.stream, httpx.AsyncByteStream):
        return b""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_BODY_S):
            async for chunk in response.stream:
                body += chunk
                if len(body) >= MAX_BODY:
                    break
    return bytes(body[:MAX_BODY])


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
