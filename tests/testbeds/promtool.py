"""The real `promtool test rules`: what Prometheus makes of rules and series, at each instant."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.testbeds.missing import missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEVER = {"labels": '{__name__="never"}', "value": 1}
"""Expected of every query, so that promtool shows what it got instead."""
_GOT = re.compile(r"^ +got: (.*)$", re.MULTILINE)
_SAMPLE = re.compile(
    r"([a-zA-Z_:][\w:]*|(?:[a-zA-Z_:][\w:]*)?\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\}) ([^ ,]+)"
)
_LABEL = re.compile(r"([a-zA-Z_]\w*)=(\"(?:[^\"\\]|\\.)*\")")


@dataclass(frozen=True, order=True)
class Alert:
    """One alert as it stands: its rule, `pending` or `firing`, and its labels but these two."""

    rule: str
    state: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Promtool:
    """The tool, with a folder of its own for what it reads."""

    path: Path
    folder: Path

    def alerts(
        self,
        groups: Sequence[Mapping[str, Any]],
        series: Mapping[str, str],
        looks: Sequence[int],
        *,
        interval_s: int,
        evaluation_s: int | None = None,
    ) -> list[frozenset[Alert]]:
        """Return the alerts that stand at each instant of `looks`, in seconds from the start.

        Args:
            groups: `groups` of the rule file.
            series: values in promtool's notation (`0 1+1x5 _ stale`) by series (`x{a="b"}`).
            looks: instants; the state is that of the last evaluation up to then.
            interval_s: seconds between two samples of a series; the first is at 0.
            evaluation_s: seconds between two evaluations; None: `interval_s`.
        """
        queries = [("ALERTS", at) for at in looks]
        found = self.ask(groups, series, queries, (interval_s, evaluation_s or interval_s))
        return [frozenset(_alert(labels) for labels, _ in samples) for samples in found]

    def ask(
        self,
        groups: Sequence[Mapping[str, Any]],
        series: Mapping[str, str],
        queries: Sequence[tuple[str, int]],
        steps_s: tuple[int, int],
    ) -> list[list[tuple[dict[str, str], float]]]:
        """Return what each query (expression, instant in seconds) gives: labels and value.

        `steps_s`: seconds between samples, and between evaluations.

        Raises:
            AssertionError: promtool refused the files.
        """
        interval_s, evaluation_s = steps_s
        listed = [{"series": name, "values": values} for name, values in series.items()]
        asked = [
            {"expr": expr, "eval_time": f"{at}s", "exp_samples": [_NEVER]} for expr, at in queries
        ]
        test = {
            "interval": f"{interval_s}s",
            "input_series": listed,
            "promql_expr_test": asked,
        }
        whole = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{evaluation_s}s",
            "tests": [test],
        }
        # JSON is YAML too.
        (self.folder / "rules.yml").write_text(json.dumps({"groups": list(groups)}))
        (self.folder / "test.yml").write_text(json.dumps(whole))
        ran = subprocess.run(
            [self.path, "test", "rules", "test.yml"],
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        got = _GOT.findall(ran.stdout + ran.stderr)
        assert len(got) == len(queries), ran.stdout + ran.stderr
        return [_samples(line) for line in got]


def find_promtool(folder: Path) -> Promtool:
    """Return the tool, which keeps its files in `folder`; where it is missing the test ends."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool", "install the Debian package prometheus")
    return Promtool(Path(found), folder)


def _samples(got: str) -> list[tuple[dict[str, str], float]]:
    return [(_labels(name), float(value)) for name, value in _SAMPLE.findall(got)]


def _labels(name: str) -> dict[str, str]:
    found = {label: json.loads(quoted) for label, quoted in _LABEL.findall(name)}
    metric = name.partition("{")[0]
    return {"__name__": metric, **found} if metric else found


def _alert(labels: Mapping[str, str]) -> Alert:
    left = {"__name__", "alertname", "alertstate"}
    others = tuple(sorted((name, one) for name, one in labels.items() if name not in left))
    return Alert(labels["alertname"], labels["alertstate"], others)
