"""Quarantine beside a dogwatch that runs: what is replayed fires at once, and once only."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.quarantine import OUTSIDE, Quarantined
from engine.store.store import Store
from tests.acceptance.dogwatch import COMMAND
from tests.acceptance.lab import Lab, a_beat, a_lab, an_alarm

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_lab(tmp_path_factory.mktemp("quarantine")) as lab:
        yield lab


def records(lab: Lab) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        lab.dogwatch.command("quarantine", "list", "--output", "json")
    )["records"]
    return rows


def put_aside(lab: Lab, *raw: bytes) -> list[str]:
    """Let records be in quarantine that can be read by now, as after an upgrade."""
    store = Store.open(lab.dogwatch.folder / "data" / "dogwatch.db", clock=SystemClock())
    bad = [Quarantined(OUTSIDE, "specversion", "of a coming version", one) for one in raw]
    store.commit(OUTSIDE, store.claim(OUTSIDE), Commit(0, quarantined=bad))
    ids = store.quarantined_ids("specversion")
    store.close()
    return ids


def test_a_replayed_record_fires_in_the_running_dogwatch(lab: Lab) -> None:
    (name,) = put_aside(lab, json.dumps([an_alarm("attic"), a_beat()]).encode())
    assert lab.dogwatch.command("quarantine", "replay", name) == "1 replayed (2 signals)\n"
    lab.await_told("fire", "attic")
    assert records(lab) == []


def test_a_record_that_is_replayed_twice_counts_once(lab: Lab) -> None:
    event = json.dumps([an_alarm("cellar"), a_beat()]).encode()
    before = lab.metric("firings_total")
    for _ in range(2):
        put_aside(lab, event)
        lab.dogwatch.command("quarantine", "replay", "--all")
    lab.await_told("fire", "cellar")
    lab.fire("roof")
    lab.await_told("fire", "roof")
    assert lab.metric("firings_total") == before + 2
    assert lab.metric("signals_duplicate_total") >= 1


def test_what_cannot_be_read_stays_with_its_reason_and_is_dropped_on_demand(lab: Lab) -> None:
    lab.post(b'[{"specversion": "1.0"}, nonsense]')
    names = [row["id"] for row in records(lab)]
    assert len(names) == 2
    called = [str(COMMAND), "quarantine", "replay", *names, "--config", str(lab.dogwatch.config)]
    done = subprocess.run(called, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("0 replayed (0 signals); 2 still unreadable")
    assert {row["id"] for row in records(lab)} == set(names)
    assert lab.dogwatch.command("quarantine", "drop", "--all", "--yes") == "2 dropped\n"
    assert records(lab) == []
