"""Nothing leaves to where it must not, and nobody holds it for long."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from engine.model.errors import Rejected, Retryable
from sinks.addresses import refusal
from sinks.egress import MAX_BODY, Answer, Egress, EgressOptions, target_of
from tests.sinks.conftest import Names
from tests.testbeds.certificates import Authority
from tests.testbeds.receiver import Receiver

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def post(url: str, **options: object) -> Answer:
    egress = Egress(EgressOptions.model_validate(options))
    try:
        return await egress.post(url, b"{}", {"Content-Type": "application/json"})
    finally:
        await egress.aclose()


@asynccontextmanager
async def a_raw_server(serve: Serve) -> AsyncIterator[str]:
    """A server on loopback that writes what `serve` writes, for as long as it likes."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()
        await server.wait_closed()


HERE = Path(__file__).parent
REFUSED = (HERE / "addresses.refused").read_text().splitlines()
ALLOWED = ("8.8.8.8", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1")


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(ip_address(address), ())


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refusal(ip_address(address), ()) == ""


TRICKS = (HERE / "urls.refused").read_text().splitlines()


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_trick_with_a_url_leads_inside(
    trick: str, authority: Authority, names: Names
) -> None:
    names["rebind.test"] = [["127.0.0.1"]]
    names["mixed.test"] = [["8.8.8.8", "127.0.0.1"]]
    names["metadata.test"] = [["169.254.169.254"]]
    names["mapped.test"] = [["::ffff:127.0.0.1"]]
    with Receiver(tls=authority.server_context()) as inside:
        url = trick.replace("{p}", str(inside.port))
        with pytest.raises((Rejected, Retryable)):
            await post(url, ca_file=str(authority.certificate), timeout_s=2)
        assert inside.requests == []


async def test_a_name_that_is_refused_says_so_and_is_final(names: Names) -> None:
    names["inside.test"] = [["10.1.2.3"]]
    with pytest.raises(Rejected, match=r"inside\.test leads to 10\.1\.2\.3, which is a private"):
        await post("https://inside.test/")


async def test_a_network_that_is_listed_may_be_used_over_tls(
    authority: Authority, names: Names
) -> None:
    with Receiver(tls=authority.server_context()) as inside:
        answer = await post(
            f"https://localhost:{inside.port}/hook?x=1",
            ca_file=str(authority.certificate),
            allow_networks=["127.0.0.0/8", "::1/128"],
        )
        assert answer.status == 200
        assert inside.requests[0].path == "/hook?x=1"
        assert inside.requests[0].headers["host"] == f"localhost:{inside.port}"


async def test_http_stays_on_loopback_even_where_networks_are_listed(names: Names) -> None:
    names["inside.test"] = [["10.1.2.3"]]
    with pytest.raises(Rejected, match="loopback"):
        await post("http://inside.test/", allow_loopback_http=True, allow_networks=["10.0.0.0/8"])


async def test_the_checked_address_is_the_one_that_is_used(
    receiver: Receiver, names: Names
) -> None:
    names["hooks.test"] = [["127.0.0.1"], ["203.0.113.7"]]
    url = f"http://hooks.test:{receiver.port}/"
    answer = await post(url, allow_loopback_http=True, timeout_s=2)
    assert answer.status == 200
    assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"
    assert names["hooks.test"] == [["203.0.113.7"]], "the name was asked for once only"


async def test_the_next_address_is_tried_where_the_first_does_not_listen(
    receiver: Receiver, names: Names
) -> None:
    names["two.test"] = [["127.0.0.9", "127.0.0.1"]]
    answer = await post(f"http://two.test:{receiver.port}/", allow_loopback_http=True)
    assert answer.status == 200


async def test_the_name_is_asked_for_in_the_handshake_and_checked_in_the_certificate(
    authority: Authority, names: Names
) -> None:
    names["hooks.test"] = [["127.0.0.1"]]
    asked: list[str | None] = []
    context = authority.server_context()

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(name)

    context.sni_callback = note
    with Receiver(tls=context) as other:
        with pytest.raises(Retryable, match=r"hooks\.test: .*certificate"):
            await post(
                f"https://hooks.test:{other.port}/",
                ca_file=str(authority.certificate),
                allow_loopback_http=True,
            )
        assert asked == ["hooks.test"]
        assert other.requests == []


async def test_an_authority_that_is_not_trusted_is_refused(authority: Authority) -> None:
    with Receiver(tls=authority.server_context()) as other:
        with pytest.raises(Retryable, match="certificate"):
            await post(f"https://localhost:{other.port}/", allow_loopback_http=True)
        assert other.requests == []


async def test_a_receiver_without_tls_is_refused_over_https(receiver: Receiver) -> None:
    with pytest.raises(Retryable):
        await post(f"https://127.0.0.1:{receiver.port}/", allow_loopback_http=True, timeout_s=2)
    assert receiver.requests == []


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await post(receiver.url, allow_loopback_http=True)
        assert proxy.requests == []
    assert len(receiver.requests) == 1


async def test_a_receiver_that_drips_its_answer_is_left_in_time() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with a_raw_server(drip) as url:
        start = time.monotonic()
        with pytest.raises(Retryable, match=r"0\.5 s"):
            await post(url, allow_loopback_http=True, timeout_s=0.5)
        assert time.monotonic() - start < 1.5


async def test_a_status_counts_though_its_body_never_ends() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nbusy")
        await writer.drain()
        await asyncio.sleep(60)

    async with a_raw_server(flood) as url:
        answer = await post(url, allow_loopback_http=True)
        assert (answer.status, len(answer.body)) == (503, MAX_BODY)
    async with a_raw_server(stall) as url:
        answer = await post(url, allow_loopback_http=True)
        assert (answer.status, answer.body) == (503, b"busy")


@pytest.mark.parametrize(
    "junk",
    [b"", b"\x00" * 64, b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nX" * 9],
)
async def test_what_is_no_http_is_retryable(junk: bytes) -> None:
    async def write(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(junk)
        await writer.drain()

    async with a_raw_server(write) as url:
        with pytest.raises(Retryable):
            await post(url, allow_loopback_http=True, timeout_s=2)


async def test_a_bomb_is_not_unpacked() -> None:
    async def bomb(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
        writer.write(head + b"\x1f\x8b\x08\x00")
        await writer.drain()

    async with a_raw_server(bomb) as url:
        assert (await post(url, allow_loopback_http=True)).body == b"\x1f\x8b\x08\x00"


async def test_connections_are_kept_between_sends_and_closed_at_the_end(
    receiver: Receiver,
) -> None:
    egress = Egress(EgressOptions(allow_loopback_http=True))
    for _ in range(3):
        await egress.post(receiver.url, b"", {})
    await egress.aclose()
    await egress.aclose()
    assert len(receiver.requests) == 3


def test_a_name_in_other_letters_is_written_as_the_network_writes_it() -> None:
    target = target_of("https://bücher.example:8443/a?b=c", allow_http=False)
    assert (target.host, target.port, target.path) == ("xn--bcher-kva.example", 8443, "/a?b=c")
    assert target.authority == "xn--bcher-kva.example:8443"
