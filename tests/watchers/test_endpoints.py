"""Real TLS servers, good and bad: what they show is told, and whether a client may believe it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.watchers.signed import now, signed
from tests.watchers.sources import Script
from tests.watchers.test_certificates import certificates
from watchers.certificates import CertificatesConfig, watch_certificates
from watchers.endpoints import AT_ONCE, Endpoint, Endpoints, Rhythm
from watchers.handshake import Server, shake
from watchers.memory import Forgetful
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.watchers.signed import Signed

BEGIN = now() - timedelta(days=30)
CA = signed("dogwatch test root", 90, begin=BEGIN, authority=True)
OTHER = signed("other", 90, begin=BEGIN, authority=True)
MIDDLE = signed("middle", 60, by=CA, begin=BEGIN, authority=True)


def leaf(days: float = 80, by: Signed | None = MIDDLE, host: str = "localhost") -> Signed:
    return signed("server", days, by=by, hosts=[host], begin=BEGIN)


@contextlib.asynccontextmanager
async def served(folder: Path, *chain: Signed, talk: Any = None) -> AsyncIterator[int]:
    """Serve TLS with this chain, or plainly as `talk` says; give the port."""
    context = None
    if chain:
        file = folder / "chain.pem"
        file.write_bytes(chain[0].key_pem + b"".join(one.pem for one in chain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
    held: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        if talk is not None:
            await talk(reader, writer)

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in held:
            writer.transport.abort()
        await asyncio.sleep(0)


async def told(
    folder: Path, port: int, *, ca: Signed | None = CA, host: str = "localhost", **more: Any
) -> dict[str, Any]:
    """Ask one endpoint once, through all of the watcher's parts; return its data."""
    file = folder / "ca.pem"
    file.write_bytes(ca.pem if ca else b"")
    one = Endpoint("e", Server("127.0.0.1", port, host), str(file), **more)
    asked = Endpoints([one], Rhythm(300, 0.5), Forgetful())
    task = asyncio.create_task(asked.follow())
    try:
        await asyncio.wait_for(asked.asked.wait(), 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return asked.data["e"]


async def test_the_whole_chain_of_a_good_server_is_told_and_trusted(tmp_path: Path) -> None:
    async with served(tmp_path, leaf(), MIDDLE) as port:
        data = await told(tmp_path, port)
    assert (data["verified"], data["chainLength"], data["subject"]) == (True, 2, "server")
    assert data["notAfter"][:10] == str((BEGIN + timedelta(days=60)).date()), "of the middle one"
    assert not {"refusal", "error"} & set(data)


@pytest.mark.parametrize(
    ("chain", "host", "refusal"),
    [
        ((leaf(10), MIDDLE), "localhost", "expired"),
        ((leaf(host="shop.example.com"), MIDDLE), "localhost", "hostname"),
        ((leaf(), MIDDLE), "shop.example.com", "hostname"),
        ((leaf(by=None),), "localhost", "self-signed"),
        ((leaf(),), "localhost", "unknown-authority"),
        (
            (leaf(by=signed("other", 90, begin=BEGIN, authority=True)),),
            "localhost",
            "unknown-authority",
        ),
    ],
)
async def test_why_a_client_would_refuse_a_server_is_told(
    tmp_path: Path, chain: tuple[Signed, ...], host: str, refusal: str
) -> None:
    async with served(tmp_path, *chain) as port:
        data = await told(tmp_path, port, host=host)
    assert (data["verified"], data["refusal"]) == (False, refusal)
    assert data["subject"] == "server"


async def test_a_server_that_is_not_to_be_judged_is_not(tmp_path: Path) -> None:
    async with served(tmp_path, leaf(by=None)) as port:
        data = await told(tmp_path, port, verify=False)
    assert data["selfSigned"]
    assert "verified" not in data


async def test_a_ca_file_that_is_none_is_said_and_nothing_is_judged(tmp_path: Path) -> None:
    async with served(tmp_path, leaf(), MIDDLE) as port:
        data = await told(tmp_path, port, ca=None)
    assert data["error"].startswith("config: ca_file can not be read")
    assert "verified" not in data
    assert data["subject"] == "server"


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 100)
    await writer.drain()


async def a_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("talk", "reasons"),
    [
        (silence, {"timeout"}),
        (garbage, {"malformed"}),
        (a_page, {"malformed"}),
        (goodbye, {"unreachable", "malformed"}),
    ],
)
async def test_a_port_without_tls_is_said_and_gives_no_dates(
    tmp_path: Path, talk: Any, reasons: set[str]
) -> None:
    async with served(tmp_path, talk=talk) as port:
        data = await told(tmp_path, port)
    assert set(data) == {"error"}
    assert data["error"].partition(":")[0] in reasons


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a" * 300, "\u0000", "a..b"])
async def test_a_server_that_is_not_there_is_said(host: str) -> None:
    seen = await shake(Server(host, 1, host), 2)
    assert seen.error.partition(":")[0] in {"unreachable", "timeout"}


async def test_an_endpoint_that_went_away_keeps_what_it_showed_also_over_a_restart(
    tmp_path: Path,
) -> None:
    memories: dict[str, Forgetful] = {}

    async def run(port: int) -> dict[str, Any]:
        given = {"endpoints": [{"address": f"127.0.0.1:{port}", "verify": False}]}
        config = CertificatesConfig.model_validate({**given, "handshake_s": 1})
        scene = Scene(Script(), "uid", memory=lambda name: memories.setdefault(name, Forgetful()))
        stream = watch_certificates(config, scene)
        async with contextlib.aclosing(stream) as batches, asyncio.timeout(20):
            return certificates(await anext(batches))[f"endpoint/127.0.0.1:{port}"]

    async with served(tmp_path, leaf(), MIDDLE) as port:
        before = await run(port)
    after = await run(port)
    assert after.pop("error").startswith("unreachable")
    assert after == before
    assert before["notAfter"]


async def test_only_some_are_asked_at_once(tmp_path: Path) -> None:
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.put_nowait(None)
        await reader.read()

    async with served(tmp_path, talk=hold) as port:
        server = Server("127.0.0.1", port, "localhost")
        named = [Endpoint(f"e{number}", server, verify=False) for number in range(2 * AT_ONCE)]
        asked = Endpoints(named, Rhythm(300, 60), Forgetful())
        task = asyncio.create_task(asked.follow())
        for _ in range(AT_ONCE):
            await asyncio.wait_for(begun.get(), 20)
        for _ in range(100):
            await asyncio.sleep(0)
        assert begun.empty()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
