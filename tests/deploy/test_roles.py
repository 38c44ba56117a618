"""The page on scale-out as somebody new follows it: its file and its commands, real servers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from tests.deploy.pages import lines, part, yaml_of
from tests.readme import COMMAND, ROOT, run
from tests.testbeds.process import Server, eventually, reserve_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Cluster
    from tests.testbeds.postgres import Postgres

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
READY_S = 90
ONE_BROKER = """
    replication_factor: 1
    min_insync_replicas: 1
    allow_unsafe: [replication_factor, min_insync_replicas]
    topic_prefix: PREFIX
    group: PREFIXgroup"""
RULE = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: mine, owner: me}
spec:
  defaults: {settle: 0s}
  rules:
    - name: hot
      on: [{type: alert}]
      when: signal.data.celsius > 40
      by: [cluster, subject]
"""
ENV = shutil.which("env") or ""
HOST = re.compile(r"127\.0\.0\.1:(\d+)")


class Newcomer:
    """Somebody in a folder with the file of the page, who types what the page says."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.servers: list[Server] = []
        self.held = ExitStack()
        self.ports: dict[str, int] = {}

    def mapped(self, line: str) -> str:
        """Return `line` with a free port in the place of each of its own."""
        return HOST.sub(lambda found: f"127.0.0.1:{self.port(found[1])}", line)

    def port(self, told: str) -> int:
        """Return the free port that stands for the one of the page."""
        if told not in self.ports:
            self.ports[told] = reserve_port(self.held)
        return self.ports[told]

    def start(self, line: str) -> None:
        """Start a process that goes on."""
        (setting, _, *arguments) = shlex.split(self.mapped(line))
        place = len(self.servers)
        command = [ENV, "-C", str(self.folder), setting, str(COMMAND), *arguments]
        server = Server(f"dogwatch-{place}", command, self.folder / f"{place}.log")
        server.start()
        self.servers.append(server)

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line in a shell."""
        path = f"{COMMAND.parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", self.mapped(line)],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ready(self, told: str) -> bool | None:
        """Whether the process at a port of the page is ready."""
        ended = [server.tail(5) for server in self.servers if not server.running]
        assert not ended, ended
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port(told)}/readyz", timeout=5)
        except httpx.TransportError:
            return None
        return answer.status_code == 200 or None

    def close(self) -> None:
        """End everything."""
        for server in self.servers:
            server.stop()
        self.held.close()


@pytest.fixture
def newcomer(kafka: Cluster, postgres: Postgres, tmp_path: Path) -> Iterator[Newcomer]:
    name = postgres.database()
    prefix = kafka.topic_prefix()
    text = yaml_of("config")
    text = re.sub(r"(brokers: )\[.*\]", rf"\1[{kafka.bootstrap}]{ONE_BROKER}", text)
    text = re.sub(
        r"postgresql://\S+", f"postgresql://dogwatch@127.0.0.1:{postgres.port}/{name}", text
    )
    text = re.sub(r"clusters:\n.*\n", "", text)
    (tmp_path / "scale-out.yaml").write_text(text.replace("PREFIX", prefix))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db").write_text(postgres.password)
    (tmp_path / "secrets" / "http").write_text("let me in")
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "rules" / "mine.yaml").write_text(RULE)
    person = Newcomer(tmp_path, prefix)
    yield person
    person.close()
    postgres.drop(name)


async def poison(kafka: Cluster, prefix: str) -> tuple[int, int]:
    """Send what is no signal; return the partition and the offset where it is."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        headers = [("sender", b"\xff")]
        sent = await producer.send_and_wait(f"{prefix}signals", b"\xffgarbage", headers=headers)
        return sent.partition, sent.offset


def kept(newcomer: Newcomer) -> list[dict[str, Any]]:
    done = newcomer.type("dogwatch quarantine list --config scale-out.yaml --output json")
    rows: list[dict[str, Any]] = json.loads(done.stdout)["records"]
    return rows


def test_who_follows_the_page_sees_alerts_told_poison_kept_and_a_dead_worker_replaced(
    newcomer: Newcomer, kafka: Cluster
) -> None:
    check, *starts = lines(part("start"))
    done = newcomer.type(check)
    assert done.returncode == 0, done.stderr
    for line in starts:
        newcomer.start(line)
    addresses = re.findall(r"LISTEN=127\.0\.0\.1:(\d+)", part("start"))
    assert eventually(lambda: all(map(newcomer.ready, addresses)) or None, READY_S)

    now = datetime.now(UTC).isoformat()
    page = lines(part("use"))
    for line in page:
        done = newcomer.type(line.replace("2026-01-01T00:00:00Z", now))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    posted = next(line for line in page if "/v1/signals" in line)
    runner = newcomer.servers[3].log
    assert eventually(lambda: "hot: lab, attic" in runner.read_text() or None, 60)

    at = asyncio.run(poison(kafka, newcomer.prefix))
    assert eventually(lambda: kept(newcomer) or None, 60)
    (row,) = kept(newcomer)
    assert (row["partition"], row["offset"], row["headers"]) == (*at, {"sender": "\\xff"})
    assert (row["reason"], row["bytes"]) == ("not-a-batch", "\\xffgarbage")
    assert kafka.topics.ends(f"{newcomer.prefix}quarantine") == {0: 1}

    newcomer.servers[1].kill()
    again = posted.replace("2026-01-01T00:00:00Z", datetime.now(UTC).isoformat())
    again = again.replace('"id": "1"', '"id": "2"').replace("attic", "cellar")
    answer = newcomer.type(again)
    assert json.loads(answer.stdout) == {"accepted": 1, "rejected": []}
    assert eventually(lambda: "hot: lab, cellar" in runner.read_text() or None, 60)


def test_a_role_alone_without_servers_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "dogwatch.yaml").write_text("rules: [rules]\n")
    done = run("run", "--role", "worker", cwd=tmp_path)
    assert done.returncode == 2
    assert "--role shares the work among processes: that needs store.url" in done.stderr
