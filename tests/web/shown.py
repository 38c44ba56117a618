"""What the pages show in these tests: one change, one mission, one rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.model.change import Change, Draft, Operation, Probe, Risk, Target, Verb
from engine.model.change_row import ChangeRow, Entry
from engine.model.change_state import ChangeState
from engine.model.report import (
    Coverage,
    Evidence,
    Finding,
    Outcome,
    Precondition,
    Report,
    Severity,
)
from engine.web.views import (
    FiringLine,
    GateLine,
    KeyLine,
    MissionLine,
    RuleLine,
    RuleView,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> \x1b[2J\u202e \"'></p>"
TARGET = Target(
    cluster="lab",
    cluster_uid="u-1",
    api_version="apps/v1",
    kind="Deployment",
    resource="deployments.apps",
    namespace="shop",
    name="web",
    uid="u-2",
)
DIFF = """\
--- Deployment shop/web (live)
+++ Deployment shop/web (proposed)
@@ -12,7 +12,7 @@
   template:
     spec:
       containers:
-      - image: registry.example.com/shop/web:1.4.1-broken-with-a-rather-long-tag-that-goes-on
+      - image: registry.example.com/shop/web:1.4.0
         name: web
"""
FINDING = Finding(
    id="x-1",
    check="crash-loop",
    severity=Severity.CRITICAL,
    object=TARGET.ref,
    title="web restarts for ever",
    observed="12 restarts in 10 minutes",
    expected="none",
    evidence=[Evidence(id="e-1", source="pods/shop/web-1", value=HOSTILE, time=NOON)],
    confidence=0.9,
)
REPORT = Report(
    kind="incident-response",
    run_id="m-1",
    started=NOON,
    finished=NOON,
    outcome=Outcome.FINDINGS,
    summary="web restarts for ever since 11:50.",
    findings=[FINDING],
    coverage=Coverage(answered=9, possible=10),
)


def a_row(risk: Risk = Risk.DISRUPTIVE, state: ChangeState = ChangeState.AWAITING) -> ChangeRow:
    draft = Draft(
        id="c-1",
        template="rollback",
        target=TARGET.ref,
        findings=["x-1"],
        title="Roll web back to revision 3",
        kind="incident-response",
    )
    change = Change(
        draft=draft,
        risk=risk,
        reversible="yes",
        why_reversible="the template of revision 4 is put back",
        operations=[Operation(verb=Verb.PATCH, target=TARGET, patch={"spec": {"secret": "raw"}})],
        preconditions=[Precondition(name="revision 3 was healthy", holds=True, why="for 4 days")],
        probes=[Probe(name="rollout"), Probe(name="finding")],
        rollback=[Operation(verb=Verb.PATCH, target=TARGET)],
        diff=DIFF,
        lines=["image registry.example.com/shop/web:1.4.1 -> 1.4.0"],
        blast="3 pods of shop/web, one after the other",
        notes=["The kind could not say whether memory stays within its limit."],
    )
    return ChangeRow(
        id="c-1",
        mission="m-1",
        draft=draft,
        created=NOON,
        rule="crash-loop",
        change=change,
        digest=change.digest,
        state=state,
        requester="rule:crash-loop",
        expires=NOON + timedelta(hours=4),
    )


def a_mission_line() -> MissionLine:
    return MissionLine(
        id="m-1",
        kind="incident-response",
        state="waiting",
        outcome="findings",
        reason="",
        summary=REPORT.summary,
        rule="crash-loop",
        clusters=["lab"],
        created=NOON,
        finished=None,
        phase=1,
        total_phases=2,
        mode="apply",
        open=1,
    )


def a_rule_line() -> RuleLine:
    return RuleLine(
        name="crash-loop",
        group="workloads",
        state="firing",
        open=1,
        kind="incident-response",
        file="rules/workloads.yaml",
        summary="A container restarts again and again.",
    )


def an_entry(seq: int, frm: str, to: str) -> Entry:
    return Entry(
        seq=seq,
        mission="m-1",
        change="c-1",
        frm=frm,
        to=to,
        actor="writer",
        at=NOON,
        digest="d" * 64,
        reason="",
        prev="0" * 64,
        hash="1" * 64,
    )


def a_rule(key: str) -> RuleView:
    return RuleView(
        **a_rule_line().model_dump(),
        by=["cluster", "namespace", "workload"],
        sinks=["slack"],
        labels={"severity": "critical"},
        annotations={},
        firings=[
            FiringLine(
                id="f-1",
                key={"namespace": "shop", "workload": "web"},
                state="firing",
                opened=NOON,
                resolved=None,
                reason="threshold",
                mission="m-1",
            )
        ],
        key=key or "namespace=shop,workload=web",
        since="2026-03-02T11:50:00Z",
        key_state="firing",
        gates=[GateLine(name="when", verdict="yes", says="restarts 12 > 3", details=["12 > 3"])],
        keys=[KeyLine(key="namespace=shop,workload=db", state="inactive")],
        unexplained="",
    )
