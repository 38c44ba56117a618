"""A mission over several ways to reach a real server: each cluster is told of as it was read."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.cluster.reader import Reader
from engine.missions.run import Means, run
from engine.model.mission import MissionRow
from engine.model.ports import SystemClock
from engine.model.report import Outcome
from tests.cluster.readers import as_persona, through
from tests.missions.test_run import Notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


async def test_each_cluster_is_told_of_as_it_was_read_and_what_it_lacks(
    kube: Kube, tmp_path: Path
) -> None:
    contexts = {
        "whole": as_persona(kube, "reader"),
        "part": as_persona(kube, "pods-only"),
        "closed": as_persona(kube, "nobody"),
        "gone": through(1, kube, tmp_path),
        "left-out": as_persona(kube, "reader"),
    }
    notebook, clock = Notebook(), SystemClock()
    targets = {"clusters": ["*"], "exclude": ["left-*"]}
    mission = MissionRow("m-1", "incident-response", {}, datetime.now(UTC), targets=targets)
    async with AsyncExitStack() as stack:
        readers = {name: Reader(name, context, clock) for name, context in contexts.items()}
        for reader in readers.values():
            stack.push_async_callback(reader.aclose)
        report = await run(mission, Means(readers, notebook, notebook, clock))
    assert report.per_cluster == {
        "closed": "forbidden",
        "gone": "unreachable",
        "part": "partial",
        "whole": "ok",
    }
    assert report.outcome is Outcome.PARTIAL
    lacks = {
        one.cluster: one.reason
        for one in report.coverage.unknowns
        if one.what == "rights of the reader"
    }
    assert set(lacks) == {"closed", "part"}
    assert "missing: get namespaces. " in lacks["closed"]
    assert "list deployments.apps" in lacks["part"]
    assert "list pods;" not in lacks["part"]
    assert 'apiGroups: ["apps"], resources: [' in lacks["part"]
