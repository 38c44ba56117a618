"""A real Alertmanager for tests; they give it alerts as a Prometheus does."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml

from tests.testbeds.missing import missing
from tests.testbeds.process import Server, reserve_port

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

HOW = "install the Debian package prometheus-alertmanager"
_NAMES = ("prometheus-alertmanager", "alertmanager")


class Alertmanager:
    """One server on a loopback port, without peers; use it as a context manager.

    `config` is the content of alertmanager.yml; paths in it are relative to `folder`.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        program = next(filter(None, map(shutil.which, _NAMES)), None)
        if program is None:
            missing("alertmanager", HOW)
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        self._held = ExitStack()
        port = reserve_port(self._held)
        self.url = f"http://127.0.0.1:{port}"
        self.server = Server(
            "alertmanager",
            [
                program,
                f"--config.file={file}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            folder / "alertmanager.log",
        )

    def fire(self, at: datetime, *labels: dict[str, str], ends: datetime | None = None) -> None:
        """Let alerts with these labels begin at `at`, and end if `ends` is given."""
        span = {"startsAt": at.isoformat(), **({"endsAt": ends.isoformat()} if ends else {})}
        notes = {"summary": "told by a test"}
        alerts = [{"labels": one, "annotations": notes, **span} for one in labels]
        httpx.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=10).raise_for_status()

    def _answers(self) -> bool | None:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200 or None
        except httpx.TransportError:
            return None

    def __enter__(self) -> Self:
        try:
            self.server.start()
            self.server.ready(self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._held.close()
