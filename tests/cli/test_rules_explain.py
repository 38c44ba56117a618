"""`dogwatch rules explain` on a replay, and live by the store of a stopped engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from engine.bus.codec import decode
from engine.cli import app
from engine.model.errors import DogwatchError
from engine.model.ports import SystemClock
from engine.rules.load import load
from engine.store.checkpoint import Commit
from engine.store.store import Store
from engine.stream.evaluator import Evaluator

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: g, owner: sre}
spec:
  rules:
    - name: high
      on: [{type: metric, metrics: [load]}]
      when: signal.value > 5.0
      by: [cluster, labels.node]
      for: 10m
"""


def recorded(folder: Path) -> bytes:
    lines = [
        {"specversion": "1.0", "id": f"s{minute}", "source": "w", "type": "metric", "cluster": "c",
         "time": f"2026-01-01T00:0{minute}:00Z",
         "data": {"metric": "load", "labels": {"node": "n1"}, "value": 3 + minute}}
        for minute in range(6)
    ]  # fmt: skip
    (folder / "rules.yaml").write_text(RULES)
    (folder / "signals.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return json.dumps(lines).encode()


def ran(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", "explain", *arguments])
    if isinstance(result.exception, DogwatchError):
        return 2, str(result.exception)
    return result.exit_code, result.stdout


def test_a_replay_is_explained_at_any_instant(tmp_path: Path) -> None:
    recorded(tmp_path)
    replay = ("--rules", str(tmp_path / "rules.yaml"), "--signals", str(tmp_path / "signals.jsonl"))
    code, early = ran("high", "labels.node=n1", *replay, "--at", "2026-01-01T00:02:00Z")
    assert (code, "INACTIVE" in early, "5 > 5  false" in early) == (0, True, True)
    code, late = ran("high", *replay, "--output", "json")
    found = json.loads(late)
    assert (code, found["state"], found["since"]) == (0, "pending", "2026-01-01T00:03:00Z")


def test_a_stopped_engine_is_explained_by_its_last_checkpoint(tmp_path: Path) -> None:
    evaluator = Evaluator(load({"rules.yaml": RULES}).rules)
    evaluator.step(decode(recorded(tmp_path)).signals)
    store = Store.open(tmp_path / "dogwatch.db", clock=SystemClock())
    store.commit(0, store.claim(0), Commit(1, evaluator.changes()))
    store.close()
    config = tmp_path / "dogwatch.yaml"
    config.write_text(f"data_dir: {tmp_path}\nrules: [{tmp_path / 'rules.yaml'}]\n")
    code, text = ran("high", "labels.node=n1", "--config", str(config))
    assert code == 0, text
    assert "PENDING since 2026-01-01T00:03:00Z" in text
    assert "fires at 2026-01-01T00:13:00Z" in text
    code, text = ran("high", "--config", str(config), "--at", "2026-01-01T00:02:00Z")
    assert (code, "give --signals" in text) == (2, True)


def test_names_of_rules_are_completed(tmp_path: Path) -> None:
    recorded(tmp_path)
    words = f"dogwatch rules explain --rules {tmp_path / 'rules.yaml'} hi"
    environment = {"_DOGWATCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "5"}
    result = CliRunner().invoke(app, [], env=environment, prog_name="dogwatch")
    assert result.stdout.split() == ["high"]
