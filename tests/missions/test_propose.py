"""Which options become changes: the mildest that can be done, in one cluster first."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.missions.notices import Route
from engine.missions.propose import asked, change_rows, changeable, drafts, wave
from engine.missions.registry import MissionKind
from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeState as S
from engine.model.config import Config
from engine.model.mission import MissionRow
from engine.model.report import (
    Coverage,
    Evidence,
    Finding,
    Incident,
    ObjectRef,
    Outcome,
    Precondition,
    ProposedChange,
    Report,
    Severity,
)
from engine.rules.rule import Notice, Rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANGES = ("rollback", "restart", "scale")


def never_run(*_: object) -> Report:
    raise NotImplementedError


KIND = MissionKind(
    "incident-response", Config, "troubleshoot", (), never_run, None, "", phases=5, changes=CHANGES
)


def a_mission(**fields: Any) -> MissionRow:
    row = MissionRow("m-1", "incident-response", {}, NOON, rule="storm", firing="f-1")
    return replace(row, **{"mode": "apply", **fields})


def ref(name: str = "web", cluster: str = "eu", namespace: str = "shop") -> ObjectRef:
    return ObjectRef(cluster=cluster, kind="Deployment", namespace=namespace, name=name, uid="u")


def an_option(
    template: str, target: ObjectRef | None = None, risk: Any = "low", **fields: Any
) -> ProposedChange:
    target = target or ref()
    given: dict[str, Any] = {
        "id": f"c-{template}-{target.name}-{target.cluster}",
        "operation": template or "by hand",
        "target": target,
        "title": f"{template} {target.name}",
        "risk": risk,
        "reversible": "yes",
        "findings": [f"x-{target.cluster}-{target.name}"],
        "template": template,
    }
    return ProposedChange(**{**given, **fields})


def an_incident(target: ObjectRef) -> Incident:
    return Incident(
        id=f"i-{target.cluster}-{target.name}",
        title="broken",
        root=target,
        severity=Severity.HIGH,
        impact="",
        objects=[target],
        object_count=1,
        findings=[f"x-{target.cluster}-{target.name}"],
        hypotheses=[],
    )


def a_report(*options: ProposedChange) -> Report:
    roots = {str(one.target.model_dump()): one.target for one in options}
    return Report(
        kind="incident-response",
        started=NOON,
        finished=NOON,
        outcome=Outcome.FINDINGS,
        summary="Broken.",
        incidents=[an_incident(root) for root in roots.values()],
        coverage=Coverage(answered=1, possible=1),
        changes=list(options),
    )


def proposed(mission: MissionRow, report: Report, *rows: ChangeRow) -> list[tuple[str, str, str]]:
    found = drafts(mission, KIND, report, rows)
    return [(one.template, one.target.cluster, one.target.name) for one in found]


def tried(template: str, state: S, target: ObjectRef | None = None) -> ChangeRow:
    (draft,) = drafts(a_mission(), KIND, a_report(an_option(template, target)), ())
    (row,) = change_rows(a_mission(), [draft], (), NOON)
    return replace(row, state=state)


def test_of_an_incident_the_mildest_option_that_can_be_done_is_proposed() -> None:
    report = a_report(
        an_option("rollback", risk="medium"),
        an_option("restart", risk="low"),
        an_option("", risk="low"),
        an_option("drain", risk="low"),
    )
    report, barred = changeable(report, KIND, None)
    assert barred == ()
    (draft,) = drafts(a_mission(params={"namespace": "shop"}), KIND, report, ())
    assert (draft.template, draft.findings) == ("restart", ["x-eu-web"])
    assert (draft.kind, draft.kind_params) == ("incident-response", {"namespace": "shop"})


@pytest.mark.parametrize(("holds", "wanted"), [(False, []), (None, ["scale"]), (True, ["scale"])])
def test_an_option_whose_precondition_fails_is_no_option(
    holds: bool | None, wanted: list[str]
) -> None:
    check = Precondition(name="room", holds=holds, why="")
    report = a_report(an_option("scale", preconditions=[check]))
    assert [one[0] for one in proposed(a_mission(), report)] == wanted


@pytest.mark.parametrize("fields", [{"mode": "report"}, {"phase": 5}])
def test_a_mission_that_only_reports_or_is_at_its_last_phase_proposes_nothing(
    fields: dict[str, Any],
) -> None:
    assert proposed(a_mission(**fields), a_report(an_option("scale"))) == []


def test_a_plan_proposes_once() -> None:
    report, plan = a_report(an_option("scale")), a_mission(mode="plan")
    assert proposed(plan, report) != []
    row = tried("restart", S.PROPOSED)
    assert proposed(replace(plan, phase=2), report, row) == []


@pytest.mark.parametrize("state", [S.ROLLED_BACK, S.REJECTED, S.EXPIRED, S.PRECHECK_FAILED])
def test_what_was_tried_for_an_object_is_not_tried_again_and_the_next_option_is(state: S) -> None:
    report = a_report(an_option("restart"), an_option("rollback", risk="medium"))
    again = proposed(a_mission(phase=2), report, tried("restart", state))
    assert again == [("rollback", "eu", "web")]


def test_what_was_superseded_is_planned_anew_under_another_id() -> None:
    row = tried("restart", S.SUPERSEDED)
    (draft,) = drafts(a_mission(phase=2), KIND, a_report(an_option("restart")), [row])
    assert draft.template == "restart"
    assert draft.id != row.id


def test_an_object_that_needs_a_person_is_left_alone() -> None:
    report = a_report(an_option("restart"), an_option("rollback"))
    assert proposed(a_mission(phase=2), report, tried("restart", S.NEEDS_HUMAN)) == []


def test_only_incidents_where_the_mission_was_pointed_at_are_acted_on() -> None:
    report = a_report(
        an_option("restart", ref("web")),
        an_option("restart", ref("db", namespace="bank")),
    )
    mission = a_mission(params={"cluster": "eu", "namespace": "bank"})
    assert proposed(mission, report) == [("restart", "eu", "db")]


def test_no_object_is_changed_twice_and_at_most_three_in_a_cluster() -> None:
    options = [an_option("restart", ref(f"web-{n}")) for n in range(5)]
    other = an_option("rollback", ref("web-0"), risk="medium", findings=["x-eu-web-1"])
    found = proposed(a_mission(), a_report(*options, other))
    assert [name for _, _, name in found] == ["web-0", "web-1", "web-2"]


def test_options_in_clusters_where_nothing_can_be_changed_stay_words() -> None:
    here, there = an_option("restart"), an_option("restart", ref(cluster="us"))
    by_hand = an_option("", ref("db", cluster="ap"))
    report, barred = changeable(a_report(here, there, by_hand), KIND, frozenset({"eu"}))
    assert (report.changes, barred) == ([here], ("us",))


CLUSTERS = [f"c{n}" for n in range(8)]


def verified(*clusters: str, but: S = S.VERIFIED) -> list[ChangeRow]:
    rows = [tried("restart", S.VERIFIED, ref(cluster=name)) for name in clusters]
    return [*rows[:-1], replace(rows[-1], state=but)]


def test_clusters_come_in_waves_one_then_a_quarter_then_the_rest() -> None:
    assert wave(CLUSTERS, []) == ("c0",)
    assert wave(CLUSTERS[1:], verified("c0")) == ("c1", "c2")
    assert wave(CLUSTERS[3:], verified("c0", "c1", "c2")) == tuple(CLUSTERS[3:])


@pytest.mark.parametrize("state", [S.ROLLED_BACK, S.REJECTED, S.NEEDS_HUMAN, S.SUPERSEDED])
def test_a_wave_waits_until_all_before_it_is_verified(state: S) -> None:
    assert wave(CLUSTERS[1:], verified("c0", but=state)) == ()
    assert wave(CLUSTERS, verified("c0", but=state)) == ("c0",)


def test_the_rest_stops_where_one_of_the_quarter_failed() -> None:
    assert wave(CLUSTERS[1:], verified("c0", "c1", but=S.ROLLED_BACK)) == ("c1",)


def test_a_phase_changes_ten_objects_at_most() -> None:
    done = verified("c0", "c1", "c2")
    options = [
        an_option("restart", ref(f"web-{n}", cluster=name)) for name in CLUSTERS[3:] for n in "abc"
    ]
    assert len(drafts(a_mission(phase=3), KIND, a_report(*options), done)) == 10


def test_rows_bear_whom_to_tell_who_wanted_them_and_what_the_rule_allows() -> None:
    found = drafts(a_mission(), KIND, a_report(an_option("scale")), ())
    (row,) = change_rows(a_mission(approval="policy", phase=2), found, ("oncall",), NOON)
    assert (row.id, row.mission, row.rule, row.firing) == (found[0].id, "m-1", "storm", "f-1")
    assert (row.mode, row.approval, row.phase) == ("apply", "policy", 2)
    assert (row.sinks, row.requester, row.next_at) == (("oncall",), "rule:storm", NOON)
    (own,) = change_rows(a_mission(requester="ann"), found, (), NOON)
    assert own.requester == "ann"


def test_those_are_asked_who_want_to_hear_of_approvals() -> None:
    notify = (Notice("oncall", ("fire", "approval")), Notice("log", ("result",)))
    rule = Rule("storm", (), (), "h", notify=notify)
    routes = (Route(("team",), {"severity": ("high",)}), Route(("all",), {}))
    assert asked(rule, routes) == ("oncall",)
    assert asked(replace(rule, notify=(), labels={"severity": "high"}), routes) == ("team", "all")
    assert asked(None, routes) == ("all",)


def test_people_are_told_why_now_and_what_shows_it() -> None:
    proof = [Evidence(id=f"e-{n}", source="status Pod", value=f"exit code {n}") for n in range(7)]
    target = ref()
    option = an_option("rollback", target)
    (own,) = option.findings
    finding = Finding(
        id=own,
        check="pod-crash",
        severity=Severity.HIGH,
        object=target,
        title="container app keeps crashing",
        observed="3 restarts",
        expected="none",
        evidence=proof,
        confidence=0.9,
    )
    report = a_report(option).model_copy(update={"findings": [finding]})
    (draft,) = drafts(a_mission(), KIND, report, ())
    assert draft.why == "broken"
    assert draft.evidence == proof[:5]
    (alone,) = drafts(a_mission(), KIND, report.model_copy(update={"incidents": []}), ())
    assert alone.why == "container app keeps crashing: 3 restarts"
