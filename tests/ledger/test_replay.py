"""A ledger of many rules through `dogwatch replay`: the firings that the checker computes."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.acceptance.dogwatch import COMMAND
from tests.ledger.checker import Episode, pairs
from tests.ledger.conditions import instant
from tests.ledger.sending import Ledger
from tests.ledger.shapes import ECHO, PAIR, rules, shape_of

if TYPE_CHECKING:
    from pathlib import Path

RULES = 100


def test_a_replay_gives_exactly_the_expected_firings(tmp_path: Path) -> None:
    ledger = Ledger(seed=11, rules=RULES, clusters=3, signals=6_000)
    (tmp_path / "rules.yaml").write_text(rules(RULES))
    signals = [one for cluster in ledger.names() for one in ledger.whole(cluster)]
    signals.sort(key=lambda one: str(one["time"]))
    (tmp_path / "signals.jsonl").write_text("\n".join(map(json.dumps, signals)))
    found = played(tmp_path)
    assert sorted(found, key=str) == sorted(ledger.expected(), key=str)


def played(folder: Path) -> list[Episode]:
    """Return the firings that a replay of the folder's files prints."""
    files = ["--rules", str(folder / "rules.yaml"), "--signals", str(folder / "signals.jsonl")]
    command = [str(COMMAND), "replay", *files, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines: dict[str, dict[str, Any]] = defaultdict(dict)
    for line in map(json.loads, done.stdout.splitlines()):
        if line["state"] in {"firing", "resolved"}:
            lines[line["firing"]][line["state"]] = line
    found = [episode(one, lines) for one in lines.values()]
    first = [one for one in found if shape_of(one.rule) != PAIR]
    paired = {one[:3]: one for one in pairs(first)}
    return [paired.get(one[:3], one) for one in found]


def episode(one: dict[str, Any], lines: dict[str, dict[str, Any]]) -> Episode:
    """Return the episode of a firing; that of an echo is about another one."""
    opened, resolved = one["firing"], one.get("resolved")
    key = dict(opened["key"])
    if shape_of(opened["rule"]) == ECHO:
        of = episode(lines[key["signal.data.firing"]], lines)
        return of._replace(rule=opened["rule"], resolved=None)
    until = instant(resolved["at"]) if resolved else None
    cluster, (name,) = key.pop("cluster"), key.values()
    return Episode(opened["rule"], cluster, name, instant(opened["at"]), until)
