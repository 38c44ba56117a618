"""A cluster that nobody answers for is shown on the pages, and dogwatch stays ready."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.acceptance.lab import RULES, a_lab
from tests.testbeds.process import eventually, reserve_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


def a_kubeconfig(folder: Path, server: str) -> str:
    """Write a kubeconfig of one cluster at `server`; return its path."""
    path = folder / "kubeconfig.yaml"
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(whole))
    return str(path)


def test_a_cluster_that_is_away_shows_in_readiness_and_metrics(tmp_path: Path) -> None:
    with ExitStack() as held:
        server = f"http://127.0.0.1:{reserve_port(held)}"
        clusters = [{"name": "away", "kubeconfig": a_kubeconfig(tmp_path, server)}]
        lab = held.enter_context(a_lab(tmp_path / "lab", clusters=clusters))
        told = "[!] cluster away unreachable: "
        assert eventually(lambda: told in lab.dogwatch.get("/readyz?verbose") or None, 20)
        assert lab.readiness() == (200, "ready\n")
        series = lab.dogwatch.get("/metrics").splitlines()
    assert 'dogwatch_cluster_reachable{cluster="away"} 0.0' in series
    assert "dogwatch_missions_queued 0.0" in series


def test_a_rule_that_fails_again_and_again_shows_in_readiness_and_metrics(tmp_path: Path) -> None:
    rules = RULES.replace("signal.data.celsius > 40", "'[true][int(signal.data.celsius)]'")
    with a_lab(tmp_path / "lab", rules=rules) as lab:
        lab.fire("hall", "attic", "cellar", "porch")
        lab.await_metric("rule_faults", 4, rule="hot", what="errors")
        assert lab.metric("rules_degraded") == 0
        lab.fire("loft")
        lab.await_metric("rules_degraded", 1, rule="hot")
        assert "[!] rule hot degraded in " in lab.dogwatch.get("/readyz?verbose")
        assert lab.readiness() == (200, "ready\n")
