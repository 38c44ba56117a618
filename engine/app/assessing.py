"""Look at a cluster with the eyes of a mission kind: before a change, on its trial, and after."""

import asyncio
from collections.abc import Iterable, Mapping

from engine.analysis.cluster_view import ClusterView
from engine.app.config import MissionsConfig
from engine.changes.look import Look
from engine.changes.templates import TEMPLATES
from engine.missions.collect import collect
from engine.missions.run import prepare
from engine.model.change import Draft
from engine.model.errors import ClusterError
from engine.model.ports import Clock, Cluster
from engine.model.report import Outcome, Report, Severity
from engine.model.snapshot import ClusterSnapshot, Snapshot

_ABSENT = "not-found"
"""Reason of a list that the server does not know."""
_SHOWN = 3


class Assessor:
    """Reads a cluster by its reader, and runs mission kinds on what was read."""

    def __init__(
        self, clusters: Mapping[str, Cluster], settings: MissionsConfig, clock: Clock
    ) -> None:
        self._clusters = clusters
        self._settings = settings
        self._clock = clock

    async def look(self, draft: Draft) -> Look:
        """Read the cluster of `draft` anew and run its kind.

        Raises:
            ClusterError: the cluster could not be read at all.
            DogwatchError: there is no such kind or template any more.
        """
        kind, params = prepare(draft.kind, draft.kind_params)
        name = draft.target.cluster
        needs = (*kind.needs, *TEMPLATES[draft.template].needs)
        choose = kind.choosing(params)
        within_s = self._settings.collect_s
        snapshot = await collect(
            {name: self._clusters.get(name)}, needs, choose, self._clock, within_s=within_s
        )
        read = snapshot.clusters[name]
        if "cluster" in read.unread:
            raise ClusterError("unreachable", f"{name}: {read.unread['cluster']}")
        async with asyncio.timeout(self._settings.run_s):
            return await asyncio.to_thread(self.assess, read, draft)

    def assess(self, snapshot: ClusterSnapshot, draft: Draft) -> Look:
        """Return what the kind of `draft` says of `snapshot`. Raises DogwatchError."""
        kind, params = prepare(draft.kind, draft.kind_params)
        now = self._clock.now()
        report = kind.run(Snapshot({snapshot.name: snapshot}), params, now)
        failing = [one for one in report.findings if one.status == "fail"]
        critical = (one.id for one in failing if one.severity is Severity.CRITICAL)
        why = _unassessed(report, snapshot, kind.needs)
        return Look(
            view=ClusterView(snapshot, now),
            findings=frozenset(one.id for one in failing),
            critical=frozenset(critical),
            assessed=not why,
            why=why,
        )


def _unassessed(report: Report, snapshot: ClusterSnapshot, needs: Iterable[str]) -> str:
    """Return what was not seen, in words; empty where all that the kind needs was read.

    What the server does not offer at all cannot hide anything.
    """
    if report.outcome is Outcome.FAILED:
        return report.summary
    unread = [
        f"{need}: {snapshot.unread[need]}"
        for need in needs
        if not snapshot.unread.get(need, _ABSENT).startswith(_ABSENT)
    ]
    return "; ".join(unread[:_SHOWN])
