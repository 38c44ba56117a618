"""Builders of reports and deliveries: a crash loop that began with a bad roll-out."""

from datetime import UTC, datetime, timedelta

from engine.model.delivery import Ask, Delivery, Occasion
from engine.model.report import (
    AppliedChange,
    Coverage,
    Evidence,
    Finding,
    Hypothesis,
    Incident,
    NextMission,
    ObjectRef,
    Outcome,
    Precondition,
    ProposedChange,
    Report,
    Severity,
    Term,
    Unknown,
)
from engine.report.shared import Envelope, share

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLUSTER = "prod-eu"


def ref(kind: str, name: str, namespace: str = "shop", api_version: str = "v1") -> ObjectRef:
    return ObjectRef(
        cluster=CLUSTER, api_version=api_version, kind=kind, namespace=namespace, name=name
    )


WEB = ref("Deployment", "web", api_version="apps/v1")


def evidence(number: int, source: str, value: str, seconds: float = 0) -> Evidence:
    return Evidence(
        id=f"e{number}", source=source, value=value, time=NOON - timedelta(seconds=seconds)
    )


EXIT = evidence(
    1,
    "Pod shop/web-6c9f7d-x2x1k status.containerStatuses[app].lastState.terminated",
    "exit code 1 (Error) after 2 s, 6 restarts",
    75,
)
LOG = evidence(
    2,
    "previous log of shop/web-6c9f7d-x2x1k container app",
    "FATAL: environment variable PAYMENTS_URL is not set",
    75,
)
ROLLOUT = evidence(
    3,
    "ReplicaSet shop/web-6c9f7d metadata.creationTimestamp",
    "revision 4, image registry.example.com/shop/web:2.4.0 -> 2.4.1",
    340,
)
BEFORE = evidence(
    4,
    "ReplicaSet shop/web-58b4c9 metadata.annotations",
    "revision 3 had 3 of 3 pods ready for 6 days",
    400,
)
ENDPOINTS = evidence(5, "EndpointSlice shop/web-kx9vq endpoints", "0 of 3 ready", 70)


def finding(number: int, obj: ObjectRef, title: str, **changes: object) -> Finding:
    values: dict[str, object] = {
        "id": f"x-{number}",
        "check": "pod.crash-loop",
        "severity": Severity.HIGH,
        "object": obj,
        "title": title,
        "observed": "exit code 1 after 2 s, 6 restarts in 5 min",
        "expected": "containers keep running",
        "evidence": [EXIT],
        "confidence": 0.97,
    }
    return Finding.model_validate(values | changes)


def findings() -> list[Finding]:
    pods = [
        finding(
            number,
            ref("Pod", f"web-6c9f7d-{name}"),
            "Container app exits again and again",
            container="app",
            evidence=[EXIT, LOG] if number == 1 else [EXIT],
        )
        for number, name in enumerate(("x2x1k", "8fj2p", "mm4qd"), start=1)
    ]
    rollout = finding(
        4,
        WEB,
        "The roll-out does not get on",
        check="deployment.stuck",
        observed="0 of 3 updated pods are available",
        expected="all updated pods are available",
        evidence=[ROLLOUT],
    )
    service = finding(
        5,
        ref("Service", "web"),
        "The Service has no ready endpoint",
        check="service.no-endpoints",
        severity=Severity.CRITICAL,
        observed="0 of 3 endpoints are ready",
        expected="at least one endpoint is ready",
        evidence=[ENDPOINTS],
    )
    claim = finding(
        6,
        ref("PersistentVolumeClaim", "reports", "batch"),
        "The claim waits for a volume",
        check="pvc.pending",
        severity=Severity.MEDIUM,
        observed="phase Pending for 42 min",
        expected="phase Bound",
        evidence=[evidence(6, "PersistentVolumeClaim batch/reports status.phase", "Pending", 2520)],
    )
    return [*pods, rollout, service, claim]


def hypotheses() -> list[Hypothesis]:
    return [
        Hypothesis(
            cause="bad-rollout",
            object=WEB,
            title="Revision 4 (web:2.4.1) cannot start: it needs PAYMENTS_URL",
            score=0.9,
            verdict="likely",
            explains=["x-1", "x-2", "x-3", "x-4", "x-5"],
            terms=[
                Term(
                    name="time",
                    weight=0.35,
                    value=1.0,
                    why="revision 4 began 18 s before the first exit",
                ),
                Term(
                    name="specific",
                    weight=0.3,
                    value=0.9,
                    why="the last log line names what is missing",
                ),
                Term(name="explains", weight=0.25, value=1.0, why="5 of 5 findings"),
                Term(
                    name="distance",
                    weight=0.1,
                    value=0.3,
                    why="one step from the Service to its pods",
                ),
            ],
            evidence=["e2", "e3", "e1"],
        ),
        Hypothesis(
            cause="dependency-down",
            object=ref("Service", "payments"),
            title="The payments service is not there to be reached",
            score=0.17,
            verdict="possible",
            explains=["x-1"],
            terms=[
                Term(
                    name="specific",
                    weight=0.3,
                    value=0.4,
                    why="the log names payments, but no refused connection",
                ),
                Term(name="explains", weight=0.25, value=0.2, why="1 of 5 findings"),
            ],
            evidence=["e2"],
        ),
    ]


def options() -> list[ProposedChange]:
    return [
        ProposedChange(
            id="c-1",
            operation="rollback",
            target=WEB,
            title="Roll Deployment web back to revision 3",
            risk="low",
            reversible="yes",
            command="kubectl --context prod-eu -n shop rollout undo deployment/web --to-revision=3",
            preconditions=[
                Precondition(
                    name="revision 3 was healthy", holds=True, why="3 of 3 pods ready for 6 days"
                ),
                Precondition(
                    name="its ConfigMaps and Secrets still exist",
                    holds=True,
                    why="web-config, web-db found",
                ),
                Precondition(
                    name="no migration ran in between",
                    holds=None,
                    why="Jobs of namespace shop were not readable",
                ),
            ],
            findings=["x-1", "x-2", "x-3", "x-4", "x-5"],
        ),
        ProposedChange(
            id="c-2",
            operation="set-env",
            target=WEB,
            title="Set PAYMENTS_URL on container app",
            risk="medium",
            reversible="yes",
            command="kubectl --context prod-eu -n shop set env deployment/web PAYMENTS_URL=...",
            preconditions=[
                Precondition(
                    name="the value is known",
                    holds=False,
                    why="no ConfigMap of namespace shop holds it",
                ),
            ],
            findings=["x-1", "x-2", "x-3"],
        ),
    ]


def incidents() -> list[Incident]:
    pods = [found.object for found in findings()[:3]]
    return [
        Incident(
            id="i-1",
            title="Deployment shop/web crash-loops since its roll-out to 2.4.1",
            root=WEB,
            severity=Severity.CRITICAL,
            impact="3 of 3 pods down; Service shop/web has no endpoint; behind Ingress shop/front",
            objects=[WEB, *pods, ref("Service", "web")],
            object_count=5,
            findings=["x-1", "x-2", "x-3", "x-4", "x-5"],
            hypotheses=hypotheses(),
        ),
        Incident(
            id="i-2",
            title="PersistentVolumeClaim batch/reports stays Pending",
            root=ref("PersistentVolumeClaim", "reports", "batch"),
            severity=Severity.MEDIUM,
            impact="1 pod waits for the volume",
            objects=[ref("PersistentVolumeClaim", "reports", "batch")],
            object_count=1,
            findings=["x-6"],
            hypotheses=[],
        ),
    ]


def a_report(**changes: object) -> Report:
    values: dict[str, object] = {
        "kind": "incident-response",
        "run_id": "m-5f0c1a52-9a53-5c2e-8f25-0d8d2f5f7a11",
        "rule": "pod-crash-loop",
        "cause": "f-8d1f0c6a2b7e4f5a9c01",
        "clusters": {CLUSTER: "3fa94b0c55aa17de90" + "0" * 46},
        "started": NOON,
        "finished": NOON + timedelta(seconds=3.2),
        "outcome": Outcome.PARTIAL,
        "summary": (
            "Deployment shop/web cannot start since its roll-out to 2.4.1: container app exits "
            "with code 1 as PAYMENTS_URL is not set. All 3 pods are down and Service web has no "
            "ready endpoint."
        ),
        "incidents": incidents(),
        "findings": findings(),
        "coverage": Coverage(
            answered=41,
            possible=44,
            unknowns=[
                Unknown(
                    what="jobs.batch",
                    cluster=CLUSTER,
                    reason="forbidden: jobs.batch is not readable in namespace shop",
                ),
                Unknown(
                    what="memory use of containers",
                    cluster=CLUSTER,
                    reason="no metrics in the snapshot",
                ),
            ],
        ),
        "changes": options(),
        "next": [
            NextMission(
                kind="post-mortem",
                reason="a user-facing outage of more than 5 min",
                params={"incident": "i-1"},
            ),
        ],
    }
    return Report.model_validate(values | changes)


DIFF = """\
--- Deployment shop/web (now)
+++ Deployment shop/web (after)
@@ spec.template.spec.containers[app] @@
   name: app
-  image: registry.example.com/shop/web:2.4.1
+  image: registry.example.com/shop/web:2.4.0
   ports:
@@ metadata.annotations @@
+  dogwatch.dev/change: c-5b2f0d1c9a7e4f3b8d60
"""
LINES = [
    "container app: image web:2.4.1 -> web:2.4.0",
    "the pod template is that of revision 3 again",
]
CHANGE = "c-5b2f0d1c9a7e4f3b8d60"
PAGE = "https://dogwatch.example.com/changes/" + CHANGE


def an_ask(**changes: object) -> Ask:
    values: dict[str, object] = {
        "change": CHANGE,
        "digest": "9f2c41d07b" + "5e" * 27,
        "title": "Roll Deployment web back to revision 3",
        "risk": "disruptive",
        "reversible": "yes",
        "why_reversible": "the present pod template is kept and put back",
        "target": WEB,
        "lines": LINES,
        "diff": DIFF,
        "blast": "3 pods of Deployment shop/web are replaced, one at a time",
        "why": "Revision 4 (web:2.4.1) cannot start: it needs PAYMENTS_URL",
        "evidence": [LOG, ROLLOUT, EXIT],
        "checked": options()[0].preconditions,
        "notes": ["whether the finding service.no-endpoints would be gone"],
        "then": [
            "All checks are made again; if anything differs from the above, nothing is changed.",
            "It is verified for 10 min: the roll-out completes, the findings are gone.",
            "If a check fails, it is rolled back by itself.",
        ],
        "groups": ["sre", "shop-owners"],
        "requester": "rule:pod-crash-loop",
        "expires": NOON + timedelta(hours=4),
        "url": PAGE,
    }
    return Ask.model_validate(values | changes)


def an_applied(**changes: object) -> AppliedChange:
    values: dict[str, object] = {
        "id": CHANGE,
        "title": "Roll Deployment web back to revision 3",
        "state": "verified",
        "reason": "rollout: all checks held over 10m",
        "digest": an_ask().digest,
        "risk": "disruptive",
        "target": WEB,
        "lines": LINES,
        "diff": DIFF,
        "decided_by": ["ada"],
        "decided": NOON + timedelta(minutes=3),
        "applied": NOON + timedelta(minutes=3, seconds=2),
        "ended": NOON + timedelta(minutes=13, seconds=9),
        "checks": [
            Precondition(name="the roll-out completes", holds=True, why="3 of 3 pods available"),
            Precondition(
                name="the findings are gone", holds=True, why="5 of 5 are not found any more"
            ),
            Precondition(name="no new Warning events", holds=True, why="none since 12:03:02 UTC"),
        ],
    }
    return AppliedChange.model_validate(values | changes)


FAILED = [
    Precondition(name="the roll-out completes", holds=False, why="1 of 3 pods available after 10m"),
    Precondition(name="the findings are gone", holds=None, why="the cluster did not answer"),
]


def a_rolled_back_change() -> AppliedChange:
    return an_applied(
        state="rolled-back", reason="the roll-out did not complete within 10m", checks=FAILED
    )


def a_stuck_change() -> AppliedChange:
    """Return a change that could not be taken back whole."""
    return an_applied(
        state="needs-human",
        reason="rolling back: 409, somebody else changed spec.template in between",
        checks=FAILED,
        objects=[
            {
                "object": "Deployment shop/web",
                "before": {"spec": {"template": {"spec": {"image": "web:2.4.1"}}}},
                "after": {"spec": {"template": {"spec": {"image": "web:2.4.2-rc1"}}}},
            }
        ],
    )


def a_delivery(change: Occasion = Occasion.FIRE, **changes: object) -> Delivery:
    values: dict[str, object] = {
        "key": "d-0123456789abcdef01234567",
        "sink": "team",
        "change": change,
        "incident": "f-8d1f0c6a2b7e4f5a9c01",
        "rule": "pod-crash-loop",
        "group": {"cluster": CLUSTER, "namespace": "shop", "workload": "web"},
        "at": NOON,
        "title": "pod-crash-loop: prod-eu, shop, web",
        "severity": "critical",
        "text": "Containers of web restart again and again. Measured: restarts = 6.",
        "labels": {"severity": "critical", "team": "shop"},
        "annotations": {
            "summary": "Containers of web restart again and again",
            "runbook_url": "https://runbooks.example.com/crash-loop",
        },
    }
    shapes: dict[Occasion, dict[str, object]] = {
        Occasion.FIRE: {
            "since": NOON - timedelta(seconds=40),
            "value": {"restarts": 6},
            "reason": "threshold",
            "members": ["web-6c9f7d-x2x1k", "web-6c9f7d-8fj2p", "web-6c9f7d-mm4qd"],
            "member_count": 3,
        },
        Occasion.REPEAT: {
            "since": NOON - timedelta(hours=2),
            "value": {"restarts": 9},
            "reason": "repeat",
            "members": ["web-6c9f7d-x2x1k"],
            "member_count": 1,
        },
        Occasion.RESOLVE: {
            "since": NOON - timedelta(minutes=12),
            "value": {"restarts": 0},
            "reason": "cleared",
        },
        Occasion.RESULT: {
            "title": incidents()[0].title,
            "mission": a_report().run_id,
            "report": a_report(),
        },
        Occasion.APPROVAL: _of_a_change() | {"ask": an_ask()},
        Occasion.REMINDER: _of_a_change() | {"ask": an_ask(), "at": NOON + timedelta(hours=2)},
        Occasion.CHANGE: _of_a_change() | {"applied": an_applied()},
    }
    return Delivery.model_validate(values | shapes[change] | changes)


def _of_a_change() -> dict[str, object]:
    return {
        "title": an_ask().title,
        "text": "",
        "mission": a_report().run_id,
        "labels": {},
        "annotations": {},
    }


def a_digest() -> Delivery:
    """Return one message about seven changes that wait."""
    names = ("checkout", "search", "cart", "mail", "login", "front")
    more = [
        f"Restart Deployment {name} — Deployment shop/{name} in prod-eu, disruptive (c-{name})"
        for name in names
    ]
    ask = an_ask(more=more, url="https://dogwatch.example.com/changes")
    return a_delivery(Occasion.APPROVAL, ask=ask, title="7 changes wait for a decision")


def a_report_that_acted() -> Report:
    """Return a report of a second leg: two changes, three clusters, no advice."""
    return a_report(
        phase=2,
        total_phases=2,
        outcome=Outcome.UNVERIFIED,
        applied=[an_applied(), a_stuck_change()],
        per_cluster={CLUSTER: "ok", "prod-us": "unreachable", "prod-ap": "partial"},
        advice="failed",
    )


def a_shared_delivery(change: Occasion = Occasion.FIRE) -> Delivery:
    """Return what three firings of a namespace share, of which `change` is the news."""
    workloads = ("web", "checkout", "search")
    fires = [
        a_delivery(
            key=f"d-{name}",
            incident=f"f-{name}",
            group={"cluster": CLUSTER, "namespace": "shop", "workload": name},
            shared={"cluster": CLUSTER, "namespace": "shop"},
            since=NOON - timedelta(seconds=40 - place),
            value={"restarts": 6 + place},
            annotations={
                "summary": f"Containers of {name} restart again and again",
                "runbook_url": "https://runbooks.example.com/crash-loop",
            },
        )
        for place, name in enumerate(workloads)
    ]
    later = NOON + timedelta(minutes=5)
    ends = [
        one.model_copy(update={"change": Occasion.RESOLVE, "at": later, "reason": "cleared"})
        for one in fires
    ]
    told = {
        Occasion.FIRE: (fires, []),
        Occasion.REPEAT: (ends[:1], fires[1:]),
        Occasion.RESOLVE: (ends, []),
    }
    return share(Envelope("d-0123456789abcdef76543210", "f-web"), *told[change])
