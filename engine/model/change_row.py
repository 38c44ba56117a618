"""A change as it is kept: where it stands, who decided, what was written, and the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict

from engine.model.change import Change, Draft, ProbeResult
from engine.model.change_state import ChangeState

Mode: TypeAlias = Literal["plan", "apply"]
"""plan: worked out and shown, nobody is asked. apply: asked for, and done once approved."""
Approval: TypeAlias = Literal["person", "policy"]
"""person: always asked. policy: what the policy approves by itself is not asked for."""


class Verdict(StrEnum):
    """What a person, or the policy, says to a change."""

    APPROVE = "approve"
    DENY = "deny"


class Decision(BaseModel):
    """One person's word on exactly one digest.

    `via`: cli, http, web, slack, email or policy. `typed`: the name that was typed, where the
    risk class asks for it. `who` is the name of a user of the policy, or `policy:NAME`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: str
    digest: str
    who: str
    verdict: Verdict
    via: str
    at: AwareDatetime
    typed: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Judgement:
    """What the decisions so far amount to: None, wait for more; `reason` says why, in words."""

    verdict: Verdict | None
    reason: str


class Step(StrEnum):
    """Which of the two ways an operation goes."""

    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True)
class Written:
    """An operation that was begun: its intent is durable before, its outcome after.

    Attributes:
        number: index in `operations` (do) or `rollback` (undo).
        version: resourceVersion that the write asked for.
        before: the object right before, without what the server keeps for itself.
        outcome: empty while unknown; done, or failed: WHY.
        after: the object as the server answered; None where it did not.
    """

    step: Step
    number: int
    version: str
    before: Mapping[str, Any]
    at: datetime
    outcome: str = ""
    after: Mapping[str, Any] | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class ChangeRow:
    """One change as the store holds it; instants are wall clock, aware UTC.

    Attributes:
        id: stable: the same mission, template and target make the same one.
        change: None while it is a draft.
        state, reason, actor: where it stands, why, and who moved it there.
        mode, approval: what the rule allows.
        sinks: who is told of it.
        requester: who asked for the mission: `rule:NAME`, or a user's name.
        expires: when a decision comes too late; None before anybody can decide.
        next_at: when the writer looks at it again.
        results: of the probes, latest ones.
        decisions, written: see there, in order.
    """

    id: str
    mission: str
    draft: Draft
    created: datetime
    phase: int = 1
    rule: str = ""
    firing: str = ""
    change: Change | None = None
    digest: str = ""
    state: ChangeState = ChangeState.DRAFT
    reason: str = ""
    actor: str = ""
    mode: Mode = "apply"
    approval: Approval = "person"
    sinks: tuple[str, ...] = ()
    requester: str = ""
    expires: datetime | None = None
    next_at: datetime | None = None
    changed: datetime | None = None
    verify_from: datetime | None = None
    results: tuple[ProbeResult, ...] = ()
    decisions: tuple[Decision, ...] = ()
    written: tuple[Written, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether its mission need not wait for it any more."""
        return self.state.final or (self.mode == "plan" and self.state is ChangeState.PROPOSED)


@dataclass(frozen=True)
class Entry:
    """One row of the audit: `hash` covers the row and `prev`, the hash of the one before it."""

    seq: int
    mission: str
    change: str
    frm: str
    to: str
    actor: str
    at: datetime
    digest: str
    reason: str
    prev: str
    hash: str


@dataclass(frozen=True)
class Freeze:
    """New changes are stopped, in `scope`: `all`, `cluster/NAME`; by whom, and until when."""

    scope: str
    who: str
    reason: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Usage:
    """What was changed lately, for the budgets and the breaker.

    Attributes:
        begun: changes begun in this cluster in the last hour.
        rolled_back: changes rolled back anywhere in the last hour.
        failures: instants of failed verifications for the same rule and object, the latest
            first, of the last 48 hours.
        same: when the same template was last applied to the same object, None if never.
        freezes: those in force.
    """

    begun: int = 0
    rolled_back: int = 0
    failures: tuple[datetime, ...] = ()
    same: datetime | None = None
    freezes: tuple[Freeze, ...] = field(default_factory=tuple)
