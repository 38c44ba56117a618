"""A leg ends at a gate or for good; what became of its changes is told by the one after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from engine.missions import registry
from engine.missions.leg import LegEnd, leg
from engine.missions.propose import change_rows, drafts
from engine.missions.registry import kinds
from engine.missions.run import Means
from engine.model.change_row import ChangeRow, Step, Written
from engine.model.change_state import ChangeState
from engine.model.delivery import Delivery
from engine.model.mission import MissionRow
from engine.model.moved import Tell
from engine.model.report import Finding, ObjectRef, Outcome, Report
from engine.model.snapshot import Snapshot
from tests.missions.test_propose import KIND, NOON, a_report, an_option, ref
from tests.missions.test_run import Notebook, OneNode, Ticking


@dataclass
class Answers:
    """A mission kind that gives one report after the other, the last one for ever."""

    reports: list[Report] = field(default_factory=list)

    def run(self, snapshot: Snapshot, *_: object) -> Report:
        report = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        return report.model_copy(update={"clusters": dict.fromkeys(snapshot.clusters, "")})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers()
    real = kinds()["incident-response"]
    kind = replace(real, run=found.run, needs=(), logs=None, phases=5, changes=KIND.changes)
    monkeypatch.setitem(registry._registered, "incident-response", kind)
    return found


def a_mission(phase: int = 1, **fields: Any) -> MissionRow:
    row = MissionRow("m-1", "incident-response", {}, NOON, firing="f-1", clusters=("eu",))
    return replace(row, phase=phase, **{"mode": "apply", **fields})


def means(notebook: Notebook) -> Means:
    return Means({"eu": OneNode("eu")}, notebook, notebook, Ticking())


def a_finding(target: ObjectRef) -> Finding:
    return Finding.model_validate(
        {
            "id": f"x-{target.cluster}-{target.name}",
            "check": "c",
            "severity": "high",
            "object": target,
            "title": "t",
            "observed": "o",
            "expected": "e",
            "evidence": [{"id": "e-1", "source": "s", "value": "v"}],
            "confidence": 1.0,
        }
    )


BROKEN = a_report(an_option("restart")).model_copy(update={"findings": [a_finding(ref())]})
WELL = a_report().model_copy(update={"outcome": Outcome.OK, "summary": "All is well."})


def a_row(state: ChangeState, phase: int = 1, template: str = "restart") -> ChangeRow:
    mission = a_mission(phase)
    (draft,) = drafts(mission, KIND, a_report(an_option(template)), ())
    (row,) = change_rows(mission, [draft], (), NOON)
    untouched = {ChangeState.REJECTED, ChangeState.EXPIRED, ChangeState.PROPOSED}
    done = Written(Step.DO, 0, "1", {}, NOON, outcome="done")
    return replace(row, state=state, written=() if state in untouched else (done,))


async def test_a_leg_that_proposes_ends_at_a_gate_and_its_report_says_so(answers: Answers) -> None:
    answers.reports = [BROKEN]
    end = await leg(a_mission(), means(Notebook()))
    assert [one.template for one in end.proposed] == ["restart"]
    assert end.wake_at is not None
    assert timedelta(days=7) < end.wake_at - NOON < timedelta(days=7, minutes=1)
    report = end.report
    assert report.summary == "Broken. A change is proposed, it waits for approval: restart web."
    assert (report.phase, report.total_phases, report.resumable) == (1, 2, True)
    assert report.checkpoint == {"changes": [end.proposed[0].id]}
    assert report.outcome is Outcome.FINDINGS


async def test_a_plan_says_that_nobody_is_asked(answers: Answers) -> None:
    answers.reports = [BROKEN]
    end = await leg(a_mission(mode="plan"), means(Notebook()))
    assert "nobody is asked to approve it: restart web" in end.report.summary


async def test_where_nothing_can_be_changed_a_mission_ends_at_once_and_says_why(
    answers: Answers,
) -> None:
    answers.reports = [BROKEN]
    end = await leg(a_mission(), replace(means(Notebook()), changeable=frozenset({"us"})))
    assert (end.wake_at, end.proposed) == (None, ())
    assert end.report.changes == BROKEN.changes
    assert end.report.summary == (
        "Broken. Nothing can be changed in eu: no writer of it, or no policy, is configured."
    )


async def test_a_leg_that_was_cut_off_before_its_gate_proposes_the_same(answers: Answers) -> None:
    answers.reports = [BROKEN, WELL]
    notebook = Notebook()
    first = await leg(a_mission(), means(notebook))
    again = await leg(a_mission(), means(notebook))
    assert (again.report, again.proposed) == (first.report, first.proposed)


async def test_the_last_leg_tells_what_became_of_it_and_offers_a_post_mortem(
    answers: Answers,
) -> None:
    answers.reports = [WELL]
    notebook = Notebook(rows=[a_row(ChangeState.VERIFIED)])
    end = await leg(a_mission(2), means(notebook))
    assert (end.wake_at, end.proposed) == (None, ())
    report = end.report
    assert report.outcome is Outcome.OK
    assert [(one.title, one.state) for one in report.applied] == [("restart web", "verified")]
    assert report.summary == "All is well. Changes: restart web: verified."
    assert [(one.kind, one.params) for one in report.next] == [
        ("post-mortem", {"mission": "m-1", "firing": "f-1"})
    ]
    assert (report.phase, report.total_phases, report.resumable) == (2, 2, False)


@pytest.mark.parametrize("state", [ChangeState.ROLLED_BACK, ChangeState.NEEDS_HUMAN])
async def test_what_was_applied_and_is_not_verified_leaves_the_mission_unverified(
    answers: Answers, state: ChangeState
) -> None:
    answers.reports = [WELL]
    end = await leg(a_mission(2), means(Notebook(rows=[a_row(state)])))
    assert end.report.outcome is Outcome.UNVERIFIED
    assert end.report.next == []


@pytest.mark.parametrize("state", [ChangeState.REJECTED, ChangeState.EXPIRED])
async def test_what_was_never_applied_leaves_the_outcome_as_it_was_found(
    answers: Answers, state: ChangeState
) -> None:
    answers.reports = [BROKEN]
    end = await leg(a_mission(2), means(Notebook(rows=[a_row(state)])))
    assert (end.wake_at, end.report.outcome) == (None, Outcome.FINDINGS)
    assert end.report.next == []


async def test_no_incident_is_over_whose_finding_is_still_there(answers: Answers) -> None:
    answers.reports = [BROKEN]
    end = await leg(a_mission(2), means(Notebook(rows=[a_row(ChangeState.VERIFIED)])))
    assert (end.wake_at, end.report.outcome) == (None, Outcome.FINDINGS)
    assert end.report.next == []


async def test_after_a_roll_back_the_next_option_is_proposed_and_its_success_counts(
    answers: Answers,
) -> None:
    options = a_report(an_option("restart"), an_option("rollback", risk="medium"))
    answers.reports = [options, WELL]
    first = a_row(ChangeState.ROLLED_BACK)
    end = await leg(a_mission(2), means(Notebook(rows=[first])))
    assert [one.template for one in end.proposed] == ["rollback"]
    assert end.report.outcome is Outcome.UNVERIFIED
    second = a_row(ChangeState.VERIFIED, phase=2, template="rollback")
    last = await leg(a_mission(3), means(Notebook(rows=[second, first])))
    assert (last.wake_at, last.report.outcome) == (None, Outcome.OK)
    assert last.report.next[0].kind == "post-mortem"


async def test_what_nobody_decided_by_the_deadline_is_taken_back(answers: Answers) -> None:
    answers.reports = [BROKEN]

    class Settling(Notebook):
        def withdraw(self, mission: str, who: str, now: Any, deliveries: Tell) -> int:
            self.rows = [replace(one, state=ChangeState.REJECTED) for one in self.rows]
            for row in self.rows:
                deliveries(row)
            return super().withdraw(mission, who, now, deliveries)

    notebook = Settling(rows=[a_row(ChangeState.AWAITING)])
    told: list[str] = []

    def tell(row: ChangeRow) -> Sequence[Delivery]:
        told.append(row.id)
        return ()

    end = await leg(a_mission(2), replace(means(notebook), tell=tell))
    assert notebook.withdrawn == ["engine"]
    assert told == [notebook.rows[0].id]
    assert end.wake_at is None
    assert [one.state for one in end.report.applied] == ["rejected"]


async def test_a_change_under_way_at_the_deadline_is_waited_for(answers: Answers) -> None:
    answers.reports = [WELL]
    notebook, before = Notebook(rows=[a_row(ChangeState.VERIFYING)]), BROKEN
    end = await leg(a_mission(2, report=before), means(notebook))
    assert (end.report, end.proposed) == (before, ())
    assert end.wake_at is not None
    assert notebook.steps == {}


async def test_a_leg_that_fails_tells_what_was_applied_before(answers: Answers) -> None:
    rows = [a_row(ChangeState.VERIFIED)]
    end = await leg(a_mission(2, kind="no-such-kind"), means(Notebook(rows=rows)))
    assert end.report.outcome is Outcome.FAILED
    assert [one.state for one in end.report.applied] == ["verified"]
    assert end.report.next == []


async def test_a_change_goes_to_one_cluster_then_to_a_quarter_then_to_the_rest(
    answers: Answers,
) -> None:
    names = [f"c{n}" for n in range(8)]
    notebook = Notebook()
    ends: list[LegEnd] = []
    for phase in range(1, 5):
        begun = {row.draft.target.cluster for row in notebook.rows}
        left = [an_option("restart", ref(cluster=name)) for name in names if name not in begun]
        answers.reports = [a_report(*left) if left else WELL]
        mission = replace(a_mission(phase), clusters=tuple(names))
        ends.append(await leg(mission, means(notebook)))
        rows = change_rows(mission, ends[-1].proposed, (), NOON)
        done = (Written(Step.DO, 0, "1", {}, NOON, outcome="done"),)
        notebook.rows += [replace(row, state=ChangeState.VERIFIED, written=done) for row in rows]
    waves = [[one.target.cluster for one in end.proposed] for end in ends]
    assert waves == [["c0"], ["c1", "c2"], ["c3", "c4", "c5", "c6", "c7"], []]
    assert (ends[-1].wake_at, ends[-1].report.outcome) == (None, Outcome.OK)
    assert len(ends[-1].report.applied) == 8
