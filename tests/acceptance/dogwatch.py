"""`dogwatch run` as a separate process, with receivers for everything that it tells."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml

from tests.testbeds.process import Server, reserve_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

COMMAND = Path(sys.executable).with_name("dogwatch")
TOKEN = "let me in"


class Dogwatch:
    """One `dogwatch run` over a folder; use as a context manager.

    `settings` is the content of dogwatch.yaml without `http` and `data_dir`; no `roles`: all.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], rules: str, roles: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        (folder / "rules").mkdir(parents=True, exist_ok=True)
        self.write_rules(rules)
        (folder / "token").write_text(TOKEN)
        self._held = ExitStack()
        self.url = f"http://127.0.0.1:{reserve_port(self._held)}"
        http = {"listen": self.url.removeprefix("http://"), "token_file": "token"}
        self.config = folder / "dogwatch.yaml"
        whole = {**settings, "http": http, "data_dir": "data", "rules": ["rules"]}
        self.config.write_text(yaml.safe_dump(whole))
        command = [str(COMMAND), "run", "--config", str(self.config)]
        command += [word for role in roles for word in ("--role", role)]
        self.process = Server("dogwatch", command, folder / "dogwatch.log")

    def write_rules(self, text: str) -> None:
        """Replace the rule file; a running dogwatch finds it."""
        (self.folder / "rules" / "rules.yaml").write_text(text)

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.process.start()
        self.process.ready(self.is_ready, 30)

    def is_ready(self) -> bool | None:
        """Whether /readyz says yes; None while nobody answers."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200 or None
        except httpx.TransportError:
            return None

    def get(self, path: str) -> str:
        """Return the body of a page."""
        return httpx.get(self.url + path, timeout=5).text

    def send(self, events: list[dict[str, Any]]) -> httpx.Response:
        """Post a batch of CloudEvents."""
        headers = {
            "content-type": "application/cloudevents-batch+json",
            "authorization": f"Bearer {TOKEN}",
        }
        body = json.dumps(events)
        return httpx.post(f"{self.url}/v1/signals", content=body, headers=headers, timeout=10)

    def command(self, *arguments: str) -> str:
        """Run another verb on the same configuration; return what it printed.

        Raises:
            AssertionError: it failed; the text holds what it said.
        """
        called = [str(COMMAND), *arguments, "--config", str(self.config)]
        done = subprocess.run(called, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of its log."""
        text = (self.folder / "dogwatch.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def close(self) -> None:
        """End it in good order."""
        self.process.stop()
        self._held.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
        if error is not None:
            sys.stderr.write(self.process.tail(60))
