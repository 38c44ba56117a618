"""The mission kind itself: assess each cluster, fold, blame, rank, propose, report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from engine.analysis.cluster_view import ClusterView
from engine.analysis.text import printable
from engine.changes.templates import TEMPLATES
from engine.missions.kinds.incident_response.assess import Assessment, assess
from engine.missions.kinds.incident_response.checks import CHECKS
from engine.missions.kinds.incident_response.diagnosis import Diagnosed, diagnose
from engine.missions.kinds.incident_response.fold import fold
from engine.missions.kinds.incident_response.logs import choose_logs
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.missions.kinds.incident_response.summary import summarise
from engine.missions.registry import mission
from engine.model.report import (
    Coverage,
    Finding,
    NextMission,
    Outcome,
    Report,
    Severity,
    Unknown,
)
from engine.model.snapshot import Snapshot

NEEDS: Final = (
    "pods",
    "nodes",
    "events",
    "services",
    "endpointslices.discovery.k8s.io",
    "configmaps",
    "serviceaccounts",
    "persistentvolumeclaims",
    "persistentvolumes",
    "resourcequotas",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "controllerrevisions.apps",
    "jobs.batch",
    "cronjobs.batch",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "ingresses.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "storageclasses.storage.k8s.io",
)


@mission(
    "incident-response",
    type="troubleshoot",
    params=IncidentParams,
    needs=NEEDS,
    logs=choose_logs,
    phases=5,
    changes=tuple(TEMPLATES),
)
def incident_response(snapshot: Snapshot, params: IncidentParams, now: datetime) -> Report:
    """Find what is broken and why: grouped incidents, ranked causes, options by risk.

    Args:
        snapshot: any number of clusters; what was not read becomes an unknown.
        params: where to look first. Everything is examined whatever they say, save where
            they name a cluster that was not read: then nothing answers what was asked.
        now: instant of the assessment, aware UTC; a snapshot that says when it was taken is
            judged by that.

    Returns:
        Incidents with their findings, those that the params point at first, then the
        severest. Options are proposals; nothing is changed.

    Source: mission proposals, section 5; failure classes of the Kubernetes API.
    """
    if params.cluster and params.cluster not in snapshot.clusters:
        return _inert(_not_read(snapshot, params, now))
    views = {name: ClusterView(one, now) for name, one in snapshot.clusters.items()}
    assessed = [assess(views[name], CHECKS) for name in sorted(views)]
    groups = {a.view.name: fold(a) for a in assessed if not a.unreadable}
    readable = {name: views[name] for name in groups}
    incidents = _focused(diagnose(groups, readable), params)
    minor = _minor([g.finding for found in groups.values() for g in found], incidents)
    findings = [f for one in incidents for f in one.findings] + minor
    coverage = _coverage(assessed)
    report = Report(
        kind="incident-response",
        clusters={name: one.digest() for name, one in sorted(snapshot.clusters.items())},
        started=now,
        finished=now,
        outcome=_outcome(assessed, findings, coverage),
        summary=summarise(incidents, minor, coverage, params),
        incidents=[one.incident for one in incidents],
        findings=findings,
        coverage=coverage,
        changes=list({change.id: change for one in incidents for change in one.changes}.values()),
        next=_next(incidents, params),
    )
    return _inert(report)


def _not_read(snapshot: Snapshot, params: IncidentParams, now: datetime) -> Report:
    """Return a report that claims nothing: what other clusters hold is no answer."""
    read = ", ".join(sorted(snapshot.clusters)) or "none"
    reason = f"not among the clusters that were read ({read})"
    missing = Unknown(what="the whole cluster", cluster=params.cluster, reason=reason)
    anywhere = params.model_dump(exclude_defaults=True, exclude={"cluster"})
    look = NextMission(
        kind="incident-response", reason="look at the clusters that were read", params=anywhere
    )
    return Report(
        kind="incident-response",
        clusters={name: one.digest() for name, one in sorted(snapshot.clusters.items())},
        started=now,
        finished=now,
        outcome=Outcome.PARTIAL,
        summary=f"Nothing could be assessed: cluster {params.cluster} is {reason}.",
        coverage=Coverage(answered=0, possible=len(CHECKS), unknowns=[missing]),
        next=[look] if snapshot.clusters else [],
    )


def _inert(report: Report) -> Report:
    """Names come from the cluster as they are: no hidden character may reach a reader."""
    return Report.model_validate(printable(report.model_dump()))


def _focused(incidents: list[Diagnosed], params: IncidentParams) -> list[Diagnosed]:
    if not params.is_focused:
        return incidents
    return sorted(incidents, key=lambda one: not any(map(params.fits, one.places)))


def _minor(findings: list[Finding], incidents: Sequence[Diagnosed]) -> list[Finding]:
    """What belongs to no incident, severest first."""
    taken = {finding.id for one in incidents for finding in one.findings}
    left = [finding for finding in findings if finding.id not in taken]
    return sorted(left, key=lambda f: (f.severity.rank, f.check, f.id))


def _coverage(assessed: Sequence[Assessment]) -> Coverage:
    return Coverage(
        answered=sum(a.answered for a in assessed),
        possible=sum(a.possible for a in assessed),
        unknowns=[unknown for a in assessed for unknown in a.unknowns],
    )


def _outcome(
    assessed: Sequence[Assessment], findings: Sequence[Finding], coverage: Coverage
) -> Outcome:
    """A whole cluster unread is partial whatever was found elsewhere."""
    if any(a.unreadable for a in assessed):
        return Outcome.PARTIAL
    if findings:
        return Outcome.FINDINGS
    return Outcome.OK if coverage.answered == coverage.possible else Outcome.PARTIAL


def _next(incidents: Sequence[Diagnosed], params: IncidentParams) -> list[NextMission]:
    grave = [one for one in incidents if one.incident.severity.rank <= Severity.HIGH.rank]
    if not grave:
        return []
    root = grave[0].incident.root
    prefilled = {
        "symptom": params.symptom,
        "cluster": root.cluster,
        "namespace": root.namespace,
        "kind": root.kind,
        "name": root.name,
        "incidents": [one.incident.id for one in grave[:20]],
    }
    reason = "write down what happened once it is resolved, while the evidence is fresh"
    return [NextMission(kind="post-mortem", reason=reason, params=prefilled)]
