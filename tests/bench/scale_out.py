"""Scale-out on one machine: latency, take-over and restoring, over a real Kafka and PostgreSQL.

Run `python -m tests.bench.scale_out [SECONDS]`. It starts one broker, one PostgreSQL and two
workers (`dogwatch run --role worker`), and prints

- the time from a critical signal to its mission row, while 10,000 signals/s flow past it, of
  150,000 series; a windowed rule wants every tenth of them,
- how long after a SIGKILL of a worker the other one has all its partitions, by default settings,
- how long it takes to claim and load a partition with the state of 100,000 keys.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

import yaml

from engine.app.config import AppConfig
from engine.app.folding import Fold
from engine.app.in_force import InForce
from engine.app.means import Means, Part
from engine.bus.codec import encode
from engine.bus.kafka import KafkaBus
from engine.model.instant import to_us
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.rules.load import load
from engine.store.store import Store
from engine.stream.stage import Stage
from tests.acceptance.dogwatch import COMMAND
from tests.testbeds import jars
from tests.testbeds.kafka import Cluster, Installed
from tests.testbeds.postgres import start_postgres
from tests.testbeds.process import Server, eventually, reserve_port

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 20
RATE = 10_000
SERIES = 150_000
"""Each gives a sample every 15 s."""
METRICS = ("cpu", *(f"other-{number}" for number in range(9)))
BATCH = 500
CLUSTERS = 4
EVERY_S = 0.05
"""Between two critical signals."""
WARM_UP = 20
KEYS = 100_000
TARGET_MS, TARGET_OVER_S, TARGET_LOAD_S = 250.0, 30.0, 5.0
RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: bench, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s}
  rules:
    - name: alert
      on: [{type: alert}]
      when: signal.data.level == "critical"
      by: [cluster, name]
      mission: {kind: incident-response, params: {symptom: latency}}
      labels: {severity: critical}
    - name: busy
      on: [{type: metric, metrics: [cpu]}]
      by: [cluster, labels.pod]
      over: 5m
      measure: {mean: {fn: avg, of: signal.value}}
      having: m.mean > 90.0
      max_keys: 200000
      labels: {severity: high}
"""


def main(seconds: int) -> None:
    """Start the servers and print the figures."""
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory()))
        libs = jars.find()
        if libs is None:
            sys.exit("Kafka is not there; run: make testbeds")
        kafka = held.enter_context(Cluster(folder / "kafka", Installed(jars.java(), libs), 1))
        postgres = start_postgres()
        held.callback(postgres.close)
        url = postgres.url(postgres.database())
        bench = Bench(folder, kafka.bootstrap, url, held)
        store = bench.store = Store.open(url, clock=SystemClock())
        held.callback(store.close)
        workers = [bench.worker("one"), bench.worker("two")]
        asyncio.run(bench.latency(seconds))
        bench.take_over(*workers)
        asyncio.run(bench.restore())


class Bench:
    """Workers over one configuration, and what is measured of them."""

    store: Store

    def __init__(self, folder: Path, brokers: str, url: str, held: ExitStack) -> None:
        self._folder = folder
        self._held = held
        (folder / "rules").mkdir()
        (folder / "rules" / "rules.yaml").write_text(RULES)
        kafka = {
            "brokers": [brokers],
            "partitions": CLUSTERS,
            "replication_factor": 1,
            "min_insync_replicas": 1,
            "allow_unsafe": ["replication_factor", "min_insync_replicas"],
        }
        whole: dict[str, Any] = {"store": {"url": url}, "bus": {"kafka": kafka}}
        self._settings = AppConfig.model_validate(whole)
        self._config = folder / "dogwatch.yaml"
        self._config.write_text(yaml.safe_dump({**whole, "data_dir": "data", "rules": ["rules"]}))

    def worker(self, name: str) -> Server:
        """Start a worker and wait until it is ready."""
        listen = f"127.0.0.1:{reserve_port(self._held)}"
        command = ["/usr/bin/env", f"DOGWATCH_HTTP__LISTEN={listen}", str(COMMAND), "run"]
        command += ["--role", "worker", "--config", str(self._config)]
        server = Server(name, command, self._folder / f"{name}.log")
        server.start()
        self._held.callback(server.stop)
        server.ready(lambda: self._logged(name, "running") or None, 60)
        return server

    async def latency(self, seconds: int) -> None:
        """Let signals flow and print how long critical ones took to their mission rows."""
        self._until_shared()
        sent: dict[str, datetime] = {}
        async with self._bus() as bus:
            flow = asyncio.create_task(_flow(bus, seconds))
            number = 0
            while not flow.done():
                number += 1
                name = f"app-{number}"
                sent[name] = datetime.now(UTC)
                data = {"name": name, "level": "critical"}
                cluster = f"c{number % CLUSTERS}"
                await bus.append([_signal("alert", name, cluster, sent[name], data)])
                await asyncio.sleep(EVERY_S)
            rate = await flow
        eventually(lambda: len(self.store.missions(limit=100_000)) >= len(sent) or None, 30)
        rows = {row.key["name"]: row for row in self.store.missions(limit=100_000)}
        lost = len(sent) - len(rows)
        waits = [
            (rows[name].created - at).total_seconds() for name, at in sent.items() if name in rows
        ]
        print(f"signal -> mission row at {rate:,.0f} signals/s, {len(waits)} samples, {lost} lost:")
        print(f"  {_percentiles(waits[WARM_UP:])}")

    def take_over(self, victim: Server, heir: Server) -> None:
        """Kill a worker and print when the other one had all partitions."""
        before = self._logged(heir.name, "log taken")
        start = monotonic()
        victim.kill()
        taken = eventually(
            lambda: (
                (self._logged(heir.name, "log taken") > before and self._owners() == {heir.name})
                or None
            ),
            60,
            every_s=0.05,
        )
        took = monotonic() - start
        verdict = "met" if taken and took < TARGET_OVER_S else "MISSED"
        print(f"take-over after SIGKILL: {took:.1f} s  (< {TARGET_OVER_S:g}: {verdict})")

    async def restore(self) -> None:
        """Fold 100,000 keys into a partition of their own, and print how long loading takes."""
        rules = load({"rules.yaml": RULES.encode()}).rules
        means = Means(
            self.store, InForce(rules, (), self.store), self._settings.stream, SystemClock()
        )
        part = Part(1000, Stage.FIRST)
        fold = Fold(means, part)
        now = datetime.now(UTC)
        for start in range(0, KEYS, BATCH):
            at = now + timedelta(microseconds=start)
            batch = [_metric(f"pod-{start + i}", "c0", at) for i in range(BATCH)]
            await fold.take(start // BATCH, encode(batch))
        await fold.close()
        began = monotonic()
        again = await asyncio.to_thread(Fold, means, part)
        took = monotonic() - began
        verdict = "met" if took < TARGET_LOAD_S else "MISSED"
        print(f"claim and load {KEYS:,} keys: {took:.2f} s  (< {TARGET_LOAD_S:g}: {verdict})")
        assert again.next_offset == KEYS // BATCH

    def _bus(self) -> KafkaBus:
        kafka = self._settings.bus.kafka
        assert kafka is not None

        async def placed(cluster: str, _: int) -> int:
            return await asyncio.to_thread(self.store.place, cluster, int(cluster[1:]))

        return KafkaBus(kafka, placed)

    def _until_shared(self) -> None:
        """Wait until each worker has logs of its own and all are taken."""
        eventually(lambda: self._owners() == {"one", "two"} or None, 60)

    def _owners(self) -> set[str]:
        """Return who wrote the newest `log taken` of each log."""
        newest: dict[str, tuple[str, str]] = {}
        for path in self._folder.glob("*.log"):
            for line in path.read_text().splitlines():
                if '"log taken"' in line:
                    found = yaml.safe_load(line)
                    newest[found["log"]] = max(
                        newest.get(found["log"], ("", "")), (found["timestamp"], path.stem)
                    )
        full = len(newest) == CLUSTERS + 1
        return {owner for _, owner in newest.values()} if full else set()

    def _logged(self, name: str, event: str) -> int:
        return (self._folder / f"{name}.log").read_text().count(f'"{event}"')


async def _flow(bus: KafkaBus, seconds: int) -> float:
    """Append RATE signals a second, evenly; return the rate that was reached."""
    began, sent = monotonic(), 0
    while (passed := monotonic() - began) < seconds:
        if sent > passed * RATE:
            await asyncio.sleep(sent / RATE - passed)
        now = datetime.now(UTC)
        cluster = f"c{sent // BATCH % CLUSTERS}"
        first = sent % SERIES
        await bus.append(
            [_metric(f"pod-{first + i}", cluster, now, METRICS[i % 10]) for i in range(BATCH)]
        )
        sent += BATCH
    return sent / (monotonic() - began)


def _metric(pod: str, cluster: str, at: datetime, metric: str = "cpu") -> Signal:
    data = {"metric": metric, "labels": {"pod": pod}, "value": 40.0}
    return _signal("metric", f"{pod}@{to_us(at)}", cluster, at, data)


def _signal(kind: str, name: str, cluster: str, at: datetime, data: dict[str, Any]) -> Signal:
    return Signal(id=name, source="bench", type=kind, time=at, cluster=cluster, data=data)


def _percentiles(times: Sequence[float]) -> str:
    cuts = quantiles(times, n=100, method="inclusive")
    shown = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(times)}
    verdict = "met" if cuts[98] * 1000 < TARGET_MS else "MISSED"
    figures = "  ".join(f"{name} {value * 1000:6.1f} ms" for name, value in shown.items())
    return f"{figures}  (p99 < {TARGET_MS:g}: {verdict})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
