"""A real Prometheus for tests, and an exporter whose page a test writes."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

from tests.testbeds.missing import missing
from tests.testbeds.process import Server, eventually, reserve_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOW = "install the Debian package prometheus"
_AT_ONCE = 24
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# JSON is YAML too. Labels of the page win, so that a page may be that of any exporter.
_SCRAPE = {
    "job_name": "test",
    "honor_labels": True,
    "scrape_interval": "1s",
    "scrape_timeout": "1s",
}


@dataclass
class Exporter:
    """An HTTP endpoint of metrics, whose page the test writes.

    Attributes:
        url: where it is.
        match: the label that all its series have in Prometheus, and no others.
        page: its metrics in the text format; set anew at any time.
        status: what it answers; 500 lets a scrape fail.
        content_type: of the page.
        asked: headers of the requests so far.
    """

    url: str
    match: dict[str, str] = field(default_factory=lambda: {"test": secrets.token_hex(6)})
    page: str = ""
    status: int = 200
    content_type: str = TEXT
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def one(self, metric: str, **labels: str) -> str:
        """Return the selector of this exporter's series of `metric` with `labels`."""
        given = {**self.match, **labels}
        return metric + "{" + ",".join(f"{n}={json.dumps(v)}" for n, v in given.items()) + "}"


class Exporters:
    """An HTTP server with an exporter at each of `/0`, `/1` ... as many as there are."""

    def __init__(self) -> None:
        self.all: list[Exporter] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="exporters"
        )
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self) -> Exporter:
        """Return a new exporter; it is empty."""
        self.all.append(Exporter(f"http://{self.address}/{len(self.all)}"))
        return self.all[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exporters = self.all

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                exporter = exporters[int(self.path.partition("?")[0].strip("/"))]
                exporter.asked.append(dict(self.headers))
                body = exporter.page.encode()
                self.send_response(exporter.status)
                self.send_header("Content-Type", exporter.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler


class Prometheus:
    """One server on a loopback port; `server` can be stopped and started again.

    It scrapes the exporters that it has every second. `history`, in the OpenMetrics format with
    times, is in its store from the beginning.
    """

    def __init__(self, folder: Path, history: str = "") -> None:
        program, tool = shutil.which("prometheus"), shutil.which("promtool")
        if program is None or tool is None:
            missing("prometheus", HOW)
        self._held = ExitStack()
        self._exporters = Exporters()
        self._held.callback(self._exporters.close)
        self._free: list[Exporter] = []
        self._targets = folder / "targets.json"
        self._grow()
        port = reserve_port(self._held)
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "prometheus.yml"
        found = [{"files": [str(self._targets)], "refresh_interval": "1s"}]
        config.write_text(json.dumps({"scrape_configs": [{**_SCRAPE, "file_sd_configs": found}]}))
        data = folder / "data"
        if history:
            _preload(tool, folder / "history.om", history, data)
        self.server = Server(
            "prometheus",
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ],
            folder / "log",
        )
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=10.0)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.server.start()
        self.server.ready(self._answers)

    def close(self) -> None:
        self.server.stop()
        self._client.close()
        self._held.close()

    def exporter(self) -> Exporter:
        """Return an exporter of this server that nobody had before."""
        if not self._free:
            self._grow()
        return self._free.pop(0)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series of a PromQL expression now."""
        answer = self._client.get("/api/v1/query", params={"query": expression})
        found = answer.raise_for_status().json()["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def until(self, expression: str, timeout_s: float = 20.0) -> list[tuple[dict[str, str], float]]:
        """Wait until `expression` gives a series, and return all of them.

        Raises:
            AssertionError: it gave none in that time.
        """
        found = eventually(lambda: self.query(expression) or None, timeout_s)
        assert found is not None, f"{expression}: nothing in {timeout_s} s\n{self.server.tail()}"
        return found

    def _answers(self) -> bool | None:
        try:
            return self._client.get("/-/ready").is_success or None
        except httpx.TransportError:
            return None

    def _grow(self) -> None:
        """Have more exporters: a new target takes Prometheus five seconds to learn of."""
        self._free += [self._exporters.add() for _ in range(_AT_ONCE)]
        groups = [
            {
                "targets": [self._exporters.address],
                "labels": {"__metrics_path__": f"/{number}", **one.match},
            }
            for number, one in enumerate(self._exporters.all)
        ]
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.rename(self._targets)


def _preload(tool: str, file: Path, history: str, data: Path) -> None:
    file.write_text(history)
    data.mkdir()
    ran = subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
