"""A source of metrics is asked with fresh credentials, and no answer of it does harm."""

from __future__ import annotations

import gzip
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from engine.metrics.answer import series_of
from engine.metrics.endpoint import Access, Endpoint
from engine.metrics.exposition import scrape, taking, target
from engine.metrics.prometheus import prometheus
from engine.metrics.settings import PrometheusConfig
from engine.model.errors import MetricsError
from tests.watchers.sources import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.model.series import Series
    from tests.testbeds.certificates import Authority

MIB = 1 << 20


@contextmanager
def a_server(
    answer: Callable[[BaseHTTPRequestHandler], None], authority: Authority | None = None
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 - named by the library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if authority is not None:
        context = authority.server_context("metrics")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        scheme = "https" if authority else "http"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(
    body: bytes = b"", status: int = 200, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


async def ask(url: str, access: Access | None = None) -> bytes:
    endpoint = Endpoint(url, access or Access())
    try:
        return (await endpoint.ask()).body
    finally:
        await endpoint.aclose()


async def reason(url: str, access: Access | None = None) -> str:
    with pytest.raises(MetricsError) as caught:
        await ask(url, access)
    return caught.value.reason


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (301, "refused"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (429, "throttled"),
        (500, "unavailable"),
        (503, "unavailable"),
        (504, "timeout"),
    ],
)
async def test_a_status_has_its_word(status: int, word: str) -> None:
    with a_server(says(b"no", status, Location="http://127.0.0.1:1/")) as url:
        assert await reason(url) == word


async def test_a_body_of_a_hundred_megabytes_is_refused_while_it_is_read() -> None:
    sent = []

    def flood(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(100 * MIB))
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"a 1\n" * (MIB // 4))
            sent.append(MIB)

    with a_server(flood) as url:
        assert await reason(url, Access(limit_bytes=2 * MIB)) == "too-large"
    assert len(sent) < 50


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "deflate"])
async def test_no_bomb_is_unpacked(coding: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(50 * MIB)) if "," in coding else bytes(50 * MIB))
    with a_server(says(bomb, Content_Encoding=coding)) as url:
        word = "too-large" if coding == "gzip" else "malformed"
        assert await reason(url, Access(limit_bytes=MIB)) == word


async def test_a_packed_answer_is_unpacked_and_one_that_is_cut_off_is_not_believed() -> None:
    packed = gzip.compress(b"up 1\n" * 1000)
    with a_server(says(packed, Content_Encoding="gzip")) as url:
        assert await ask(url) == b"up 1\n" * 1000
    with a_server(says(packed[:-9], Content_Encoding="gzip")) as url:
        assert await reason(url) == "malformed"
    with a_server(says(b"\x00\x01", Content_Encoding="gzip")) as url:
        assert await reason(url) == "malformed"
    with a_server(says(b"up 1\n", Content_Length="400", Connection="close")) as url:
        assert await reason(url, Access(timeout_s=1)) in {"unreachable", "timeout"}


async def test_a_server_that_never_answers_is_given_up() -> None:
    with ExitStack() as held:
        go_on = threading.Event()

        def wait(_: BaseHTTPRequestHandler) -> None:
            go_on.wait(10)

        url = held.enter_context(a_server(wait))
        held.callback(go_on.set)
        assert await reason(url, Access(timeout_s=0.2)) == "timeout"
        config = PrometheusConfig(url=url, timeout_s=0.2)
        async with prometheus(config) as metrics:
            with pytest.raises(MetricsError, match=r"within 0\.2 s"):
                await metrics.query("up", NOON)


async def test_tokens_and_passwords_are_read_anew_and_never_shown(tmp_path: Path) -> None:
    seen: list[tuple[str | None, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append((request.headers["Authorization"], request.headers["X-Scope-OrgID"]))
        body = b'{"status":"error","errorType":"bad_data","error":"no"}'
        says(body, 400, Content_Type="application/json")(request)

    secret = tmp_path / "secret"
    with a_server(answer) as url:
        config = PrometheusConfig(url=url, token_file=str(secret), tenant="blue")
        async with prometheus(config) as metrics:
            for token in ("one", "two\nthree"):
                secret.write_text(token)
                with pytest.raises(MetricsError) as caught:
                    await metrics.query("up", NOON)
                assert "one" not in str(caught.value)
        pair = PrometheusConfig(url=url, username="ann", password_file=str(secret))
        async with prometheus(pair) as metrics:
            with pytest.raises(MetricsError):
                await metrics.query("up", NOON)
    assert seen == [("Bearer one", "blue"), ("Bearer two", "blue"), ("Basic YW5uOnR3bw==", None)]


@pytest.mark.parametrize("content", [None, b"\xff", b"a\x00b", "ünï".encode()])
async def test_a_token_that_cannot_be_sent_is_told_without_it(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    access = Access(token_file=str(file))
    assert await reason("http://127.0.0.1:1", access) == "unauthorized"


async def test_only_who_is_signed_by_the_named_authority_is_believed(
    authority: Authority, tmp_path: Path
) -> None:
    trusted = Access(ca_file=str(authority.certificate))
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with a_server(says(b"up 1\n"), authority) as url:
        assert await ask(url, trusted) == b"up 1\n"
        assert await reason(url) == "unreachable"
        assert await reason(url, Access(ca_file=str(empty))) == "unreachable"
        assert await reason(url, Access(ca_file=str(tmp_path / "none"))) == "unreachable"


async def scraped(page: bytes, kind: str = "text/plain", status: int = 200) -> object:
    with a_server(says(page, status, Content_Type=kind)) as url:
        endpoint = target(f"{url}/metrics?x=y")
        try:
            page_ = await scrape(endpoint, NOON, taking(("a*",)))
        except MetricsError as error:
            return error.reason
        finally:
            await endpoint.aclose()
        return [(one.name, one.points[0].value) for one in page_.series]


async def test_a_scrape_is_of_either_format() -> None:
    openmetrics = b'# TYPE a counter\na_total 5 # {x="y"} 1\n# TYPE b gauge\nb 1\n# EOF\n'
    assert await scraped(openmetrics, "application/openmetrics-text; version=1.0.0") == [
        ("a_total", 5.0)
    ]
    assert await scraped(b"a 1\nb 2\n") == [("a", 1.0)]


@pytest.mark.parametrize("page", [b"a 1\n", b"# TYPE a counter\na 1\n# EOF\n", b"\x00", b""])
async def test_a_page_of_openmetrics_that_breaks_its_grammar_is_refused(page: bytes) -> None:
    told = await scraped(page, "application/openmetrics-text; version=1.0.0")
    assert told == "malformed"


async def test_a_page_that_is_no_text_or_not_there_is_told() -> None:
    assert await scraped(b"a 1\n\xff\n") == "malformed"
    assert await scraped(b"gone", status=404) == "refused"
    assert await scraped(b"{}", "application/json", 500) == "unavailable"


async def test_a_long_answer_is_read_beside_the_loop_and_means_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    def reading(body: bytes, status: int) -> list[Series]:
        threads.append(threading.get_ident())
        return series_of(body, status)

    monkeypatch.setattr("engine.metrics.prometheus.series_of", reading)
    start = b'{"status":"success","data":{"resultType":"vector","result":['
    one = b'{"metric":{"pod":"web"},"value":[1767225600,"1"]}'
    for count in (1, MIB // len(one)):
        body = start + b",".join([one] * count)
        with a_server(says(body + b"]}}")) as url:
            assert len(await query(url)) == count
        with a_server(says(body)) as url, pytest.raises(MetricsError) as caught:
            await query(url)
        assert (caught.value.reason, str(caught.value)[:9]) == ("malformed", "127.0.0.1")
    assert [thread == threading.get_ident() for thread in threads] == [True, True, False, False]


async def query(url: str) -> list[Series]:
    async with prometheus(PrometheusConfig(url=url)) as metrics:
        return await metrics.query("up", NOON)
