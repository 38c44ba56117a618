"""A flood of many times what is folded: the important comes through, and memory stays."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.flood import Flood, Sent, most_rss, rss
from tests.acceptance.lab import RULES, Lab
from tests.acceptance.slowed import Slowed
from tests.bus.kafka_setup import settings as kafka_settings
from tests.testbeds.process import eventually
from tests.testbeds.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.timeout(180)
COMMIT_S = 0.2
STREAM = {
    "lateness_s": 30,
    "checkpoint_signals": 100,
    "intake_bytes": 8 << 20,
    "shed_after_s": 1,
}
"""A commit holds 100 signals and takes COMMIT_S: 500 signals a second are folded."""
TOLD_S = 60


@contextmanager
def a_slow_lab(folder: Path, **settings: Any) -> Iterator[Lab]:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        dogwatch = Slowed(folder, {"stream": STREAM, **settings}, RULES, seconds=COMMIT_S)
        yield Lab(stack.enter_context(dogwatch), receiver)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.real)])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A slow dogwatch over each bus."""
    settings = {}
    if request.param == "kafka":
        kafka: Cluster = request.getfixturevalue("kafka")
        config = kafka_settings(kafka).model_dump(mode="json", exclude_defaults=True)
        settings = {"bus": {"kafka": config}}
    with a_slow_lab(tmp_path, **settings) as lab:
        yield lab


def shed(lab: Lab, *reasons: str) -> float:
    return sum(lab.metric("signals_shed_total", reason=reason) for reason in reasons)


def folded(lab: Lab, sent: Sent) -> bool | None:
    """Whether all alerts that were taken are folded; None while not."""
    return lab.metric("signals_total", type="alert") >= len(sent.alerts) or None


def test_a_flood_loses_nothing_critical_takes_no_memory_and_each_shed_signal_is_counted(
    lab: Lab,
) -> None:
    pid = lab.dogwatch.process.pid or 0
    before = rss(pid)
    sent = Flood(lab.dogwatch.url).run(5, senders=8)
    assert eventually(lambda: folded(lab, sent), TOLD_S), sent
    assert eventually(lambda: lab.metric("intake_bytes") == 0 or None, TOLD_S)

    assert not sent.other
    # Not one critical signal is missing, and none was folded twice.
    assert lab.metric("signals_total", type="alert") == len(sent.alerts)
    assert lab.metric("firings_total", rule="hot") == len(sent.alerts)
    assert lab.metric("signals_late_total") == 0
    # What is not folded is shed, to the last one, and told once.
    for kind in ("metric", "k8s.object"):
        assert lab.metric("signals_total", type=kind) < sent.taken[kind]
    through = sum(lab.metric("signals_total", type=kind) for kind in sent.taken)
    # Some are dogwatch's own, each 15 s.
    own = through + lab.metric("signals_shed_total") - sent.taken.total()
    assert 0 <= own <= 30
    assert shed(lab, "sampled") > shed(lab, "duplicate") == 0
    assert shed(lab, "superseded") > 0
    assert len(lab.logged("shedding")) == 1
    # 30 s is the promise; from the signal to its stored firing.
    in_time = lab.metric("signal_to_firing_seconds_bucket", le="30.0")
    assert in_time >= 0.99 * len(sent.alerts)
    assert most_rss(pid) <= 2 * before
    assert lab.readiness() == (200, "ready\n")

    again = Flood(lab.dogwatch.url, metrics=5, pods=5)
    lost = lab.metric("signals_shed_total")
    assert not again.run(0.1, senders=1).refused
    assert eventually(lambda: folded(lab, again.sent), TOLD_S)
    assert lab.metric("signals_shed_total") == lost


def test_a_flood_of_critical_signals_alone_is_held_back_at_its_senders(tmp_path: Path) -> None:
    with a_slow_lab(tmp_path) as lab:
        pid = lab.dogwatch.process.pid or 0
        before = rss(pid)
        flood = Flood(lab.dogwatch.url, metrics=0, pods=0, alerts=100, pad=8000)
        sent = flood.run(4, senders=16)
        assert sent.refused > 0
        assert sent.retry_after <= set(range(1, 11))
        assert not sent.other
        assert eventually(lambda: folded(lab, sent), TOLD_S), sent
        assert lab.metric("signals_total", type="alert") == len(sent.alerts)
        assert lab.metric("signals_shed_total") == 0
        assert lab.metric("intake_refused_total") == sent.refused
        assert most_rss(pid) <= 2 * before
        assert len(lab.logged("sources are held back")) == 1
