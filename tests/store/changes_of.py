"""Builders of changes, and a store in which one waits for what a test does with it."""

from datetime import datetime, timedelta
from typing import Any

from engine.model.change import Change, Draft, Operation, Probe, Risk, Target, Verb
from engine.model.change_row import ChangeRow, Decision, Judgement, Step, Verdict, Written
from engine.model.change_state import ChangeEvent as E
from engine.model.moved import Moved
from engine.model.report import ObjectRef
from engine.store.store import Store
from tests.store.rows import NOON, a_report, a_run

HOUR = timedelta(hours=1)
TO_APPLYING = (E.BEGIN, E.DRY_RUN, E.APPLY)


def a_target(name: str = "web", **fields: Any) -> Target:
    given = {
        "cluster": "east",
        "cluster_uid": "u-east",
        "api_version": "apps/v1",
        "kind": "Deployment",
        "resource": "deployments.apps",
        "namespace": "shop",
        "name": name,
        "uid": f"u-{name}",
    }
    return Target(**{**given, **fields})


def a_draft(change: str = "c-1", target: ObjectRef | None = None, **fields: Any) -> Draft:
    given: dict[str, Any] = {
        "id": change,
        "template": "scale",
        "target": target or a_target().ref,
        "title": "scale web to 3",
        "kind": "incident-response",
        "findings": ["x-1"],
    }
    return Draft(**{**given, **fields})


def a_row(change: str = "c-1", **fields: Any) -> ChangeRow:
    draft = fields.pop("draft", None) or a_draft(change)
    given = {
        "mission": "m-1",
        "created": NOON,
        "rule": "crash-loop",
        "requester": "rule:crash-loop",
    }
    return ChangeRow(id=change, draft=draft, **{**given, **fields})


def a_change(draft: Draft, replicas: int = 3, risk: Risk = Risk.DISRUPTIVE) -> Change:
    return Change(
        draft=draft,
        risk=risk,
        reversible="yes",
        why_reversible="the count before is known",
        operations=[
            Operation(
                verb=Verb.SCALE,
                target=a_target(draft.target.name),
                patch={"spec": {"replicas": replicas}},
                before={"spec": {"replicas": 1}},
                after={"spec": {"replicas": replicas}},
            )
        ],
        probes=[Probe(name="rollout")],
    )


def a_decision(row: ChangeRow, who: str = "ann", **fields: Any) -> Decision:
    given: dict[str, Any] = {
        "change": row.id,
        "digest": row.digest,
        "who": who,
        "verdict": Verdict.APPROVE,
        "via": "cli",
        "at": NOON,
    }
    return Decision(**{**given, **fields})


def one_is_enough(row: ChangeRow) -> Judgement:
    return Judgement(row.decisions[-1].verdict, f"{row.decisions[-1].who} said so")


def two_are_needed(row: ChangeRow) -> Judgement:
    """One that denies is enough, two have to approve."""
    if any(one.verdict is Verdict.DENY for one in row.decisions):
        return Judgement(Verdict.DENY, "denied")
    enough = len({one.who for one in row.decisions}) >= 2
    return Judgement(Verdict.APPROVE, "two") if enough else Judgement(None, "1 of 2")


def a_write(step: Step = Step.DO, number: int = 0, **fields: Any) -> Written:
    given: dict[str, Any] = {"version": "7", "before": {"spec": {"replicas": 1}}, "at": NOON}
    return Written(step, number, **{**given, **fields})


class Scene:
    """A store with one running mission, and the writer's lease."""

    def __init__(self, store: Store, mission: str = "m-1") -> None:
        self.store = store
        self.mission = mission
        self.epoch = store.acquire("writer", "w", 3600) or 0
        store.add_mission(a_run(mission))
        row = store.claim_mission("local/worker-0", NOON, mission)
        assert row is not None
        self.run_epoch = row.epoch

    def waits_for(self, *rows: ChangeRow, wake_at: datetime = NOON + 10 * HOUR) -> None:
        """Let the mission wait for `rows`."""
        report = a_report(self.mission)
        self.store.wait(self.mission, report, rows, [], NOON, wake_at, epoch=self.run_epoch)

    def move(self, change: str, event: E, now: datetime = NOON, /, **moved: Any) -> ChangeRow:
        """Move a change from where it is."""
        frm = self.at(change).state
        return self.store.move_change(change, frm, event, Moved(**moved), now, epoch=self.epoch)

    def proposed(self, change: str = "c-1", /, **moved: Any) -> ChangeRow:
        """Work a draft out."""
        given = {"change": a_change(self.at(change).draft), "expires": NOON + 4 * HOUR}
        return self.move(change, E.PROPOSE, **{**given, **moved})

    def awaiting(self, change: str = "c-1", /, **moved: Any) -> ChangeRow:
        """Work a draft out, and ask."""
        self.proposed(change, **moved)
        return self.move(change, E.ASK, next_at=NOON + 2 * HOUR)

    def approved(self, change: str = "c-1", /, **moved: Any) -> ChangeRow:
        """The same, and one approves."""
        row = self.awaiting(change, **moved)
        return self.store.decide(a_decision(row), one_is_enough, NOON)

    def applying(self, change: str = "c-1", now: datetime = NOON) -> ChangeRow:
        """The same, up to the moment of the first write."""
        row = self.approved(change)
        for event in TO_APPLYING:
            row = self.move(change, event, now)
        return row

    def at(self, change: str) -> ChangeRow:
        """Return a change as it is."""
        row = self.store.change(change)
        assert row is not None
        return row
