"""What the pages and the HTTP API show: one model a noun, the same for both."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.model.change import ProbeResult, Risk
from engine.model.change_row import Decision, Entry
from engine.model.change_state import ChangeState
from engine.model.report import Finding, Precondition, Report

MOVING = frozenset(
    {
        ChangeState.DRAFT,
        ChangeState.APPROVED,
        ChangeState.PRECHECKING,
        ChangeState.DRY_RUN_OK,
        ChangeState.APPLYING,
        ChangeState.VERIFYING,
        ChangeState.VERIFY_FAILED,
        ChangeState.ROLLING_BACK,
    }
)
"""States in which the writer is at work on a change."""


class View(BaseModel):
    """Instants are aware UTC; texts may come from a cluster and are not cleaned here."""

    model_config = ConfigDict(frozen=True)


class MissionLine(View):
    """One mission in a list; `open` counts its changes that wait for a person."""

    id: str
    kind: str
    state: str
    outcome: str
    reason: str
    summary: str
    rule: str
    clusters: list[str]
    created: datetime
    finished: datetime | None
    phase: int
    total_phases: int
    mode: str
    open: int = 0


class ChangeLine(View):
    """One change in a list; `target` in words, `decided` who approved so far."""

    id: str
    mission: str
    title: str
    template: str
    state: str
    reason: str
    risk: str
    cluster: str
    target: str
    created: datetime
    changed: datetime | None
    expires: datetime | None
    digest: str
    decided: list[str]

    @property
    def waits(self) -> bool:
        """Whether a person can decide it; what may lock out is confirmed while it is verified."""
        lockout = self.risk == Risk.LOCKOUT and self.state == ChangeState.VERIFYING
        return lockout or self.state in {ChangeState.PROPOSED, ChangeState.AWAITING}

    @property
    def moving(self) -> bool:
        """Whether the writer is at work on it: it will look different soon."""
        return self.state in MOVING


class Station(View):
    """One station on the way from a signal to a delivery; `depth` 0 is the first cause."""

    noun: str
    id: str
    at: datetime
    depth: int
    text: str


class MissionView(MissionLine):
    """One mission whole, with its path from the signal to the delivery."""

    params: dict[str, Any]
    key: dict[str, str]
    firing: str
    requester: str
    approval: str
    crashes: int
    started: datetime | None
    wake_at: datetime | None
    report: Report | None
    changes: list[ChangeLine]
    path: list[Station]


class Asking(View):
    """What the policy asks for: `people` distinct ones of `groups`, each typing `typed`.

    `no_approval` and `no_denial` say why the reader may not say so, empty where they may.
    """

    people: int
    groups: list[str]
    typed: str
    no_approval: str
    no_denial: str


class WriteLine(View):
    """One write that is to be done, or that would undo one: how, on what, in which wave."""

    verb: str
    object: str
    wave: int


class WorkedOut(View):
    """What would be done, as it was worked out; `diff` and `lines` are cleaned and redacted."""

    reversible: str
    why_reversible: str
    writes: list[WriteLine]
    rollback: list[WriteLine]
    preconditions: list[Precondition]
    probes: list[str]
    window_s: float
    diff: str
    lines: list[str]
    blast: str
    notes: list[str]


class WrittenLine(View):
    """One write that was begun; `outcome` is empty while it is unknown."""

    step: str
    number: int
    object: str
    at: datetime
    ended: datetime | None
    outcome: str


class ChangeView(ChangeLine):
    """One change whole.

    `work` is None while it is a draft, `asking` where no valid policy is in force. `findings`
    are those it is to remove, `why` says why now. `objects` are there where only a person can go
    on: the exact before and after of what was written. `audit` has each move of the change.
    """

    params: dict[str, Any]
    work: WorkedOut | None
    kind: str
    rule: str
    requester: str
    mode: str
    why: str
    findings: list[Finding]
    asking: Asking | None
    decisions: list[Decision]
    results: list[ProbeResult]
    written: list[WrittenLine]
    objects: list[dict[str, Any]]
    audit: list[Entry]


class RuleLine(View):
    """One rule in force; `state` is firing, quiet, shadow or off; `open` counts its firings."""

    name: str
    group: str
    state: str
    open: int
    kind: str
    file: str
    summary: str


class FiringLine(View):
    """One episode of a rule; instants are stream time."""

    id: str
    key: dict[str, str]
    state: str
    opened: datetime
    resolved: datetime | None
    reason: str
    mission: str = ""


class GateLine(View):
    """One thing that a key of the rule has to pass: yes, no, waits, holds back."""

    name: str
    verdict: str
    says: str
    details: list[str]


class KeyLine(View):
    """One key of a rule that is remembered, as `name=value,...`."""

    key: str
    state: str


class RuleView(RuleLine):
    """One rule with why the key asked for is in its state; `unexplained` says why that is not."""

    by: list[str]
    sinks: list[str]
    labels: dict[str, str]
    annotations: dict[str, str]
    firings: list[FiringLine]
    key: str
    since: str
    key_state: str
    gates: list[GateLine]
    keys: list[KeyLine]
    unexplained: str


class SinkView(View):
    """One sink: how much waits for it, since when, and how much was given up lately."""

    name: str
    type: str
    waiting: int
    since: datetime | None
    given_up: int
    error: str


class ClusterView(View):
    """One cluster; `problem` is None where this process does not watch it and cannot know."""

    name: str
    groups: list[str]
    labels: dict[str, str]
    writable: bool
    problem: str | None
    open: int
    missions: int
    frozen: bool


class AuditView(View):
    """The newest entries of the audit; `fault` says where the chain of all `count` broke.

    It was `checked` as a whole then.
    """

    count: int
    fault: str
    checked: datetime
    entries: list[Entry]
