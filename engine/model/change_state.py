"""The life of a change: its states and the one table of moves."""

from collections.abc import Mapping
from enum import StrEnum

from engine.model.moves import after


class ChangeState(StrEnum):
    """Where a change stands; see MOVES."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    AWAITING = "awaiting"
    APPROVED = "approved"
    PRECHECKING = "prechecking"
    DRY_RUN_OK = "dry-run-ok"
    APPLYING = "applying"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    PRECHECK_FAILED = "precheck-failed"
    DRY_RUN_FAILED = "dry-run-failed"
    CONFLICT = "conflict"
    VERIFY_FAILED = "verify-failed"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    NEEDS_HUMAN = "needs-human"

    @property
    def final(self) -> bool:
        """Whether nothing follows it."""
        return self not in {state for state, _ in MOVES}


class ChangeEvent(StrEnum):
    """What moves a change.

    propose: it was worked out and dry-run. ask: people were asked. approve, deny: the decision
    stands (a cancelled mission denies). expire: no decision in time. supersede: what was
    approved is not what would be done now. begin: the writer takes it up. hold: not now (freeze,
    window, budget, lock). refuse: a check says no. refuse-dry-run: the server does. conflict:
    another manager owns a field. dry-run, apply, applied, next-wave, verify: as they say.
    fail: something was written, and a check or a write failed. roll-back, rolled-back: as they
    say. escalate: only a person can go on.
    """

    PROPOSE = "propose"
    ASK = "ask"
    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    SUPERSEDE = "supersede"
    BEGIN = "begin"
    HOLD = "hold"
    REFUSE = "refuse"
    REFUSE_DRY_RUN = "refuse-dry-run"
    CONFLICT = "conflict"
    DRY_RUN = "dry-run"
    APPLY = "apply"
    APPLIED = "applied"
    NEXT_WAVE = "next-wave"
    VERIFY = "verify"
    FAIL = "fail"
    ROLL_BACK = "roll-back"
    ROLLED_BACK = "rolled-back"
    ESCALATE = "escalate"


_S, _E = ChangeState, ChangeEvent

MOVES: Mapping[tuple[ChangeState, ChangeEvent], ChangeState] = {
    (_S.DRAFT, _E.PROPOSE): _S.PROPOSED,
    (_S.DRAFT, _E.REFUSE): _S.PRECHECK_FAILED,
    (_S.DRAFT, _E.REFUSE_DRY_RUN): _S.DRY_RUN_FAILED,
    (_S.DRAFT, _E.CONFLICT): _S.CONFLICT,
    (_S.DRAFT, _E.DENY): _S.REJECTED,
    (_S.DRAFT, _E.EXPIRE): _S.EXPIRED,
    (_S.PROPOSED, _E.ASK): _S.AWAITING,
    (_S.PROPOSED, _E.APPROVE): _S.APPROVED,
    (_S.PROPOSED, _E.DENY): _S.REJECTED,
    (_S.PROPOSED, _E.EXPIRE): _S.EXPIRED,
    (_S.PROPOSED, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.AWAITING, _E.APPROVE): _S.APPROVED,
    (_S.AWAITING, _E.DENY): _S.REJECTED,
    (_S.AWAITING, _E.EXPIRE): _S.EXPIRED,
    (_S.AWAITING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.APPROVED, _E.BEGIN): _S.PRECHECKING,
    (_S.APPROVED, _E.DENY): _S.REJECTED,
    (_S.APPROVED, _E.EXPIRE): _S.EXPIRED,
    (_S.APPROVED, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.PRECHECKING, _E.HOLD): _S.APPROVED,
    (_S.PRECHECKING, _E.REFUSE): _S.PRECHECK_FAILED,
    (_S.PRECHECKING, _E.REFUSE_DRY_RUN): _S.DRY_RUN_FAILED,
    (_S.PRECHECKING, _E.CONFLICT): _S.CONFLICT,
    (_S.PRECHECKING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.PRECHECKING, _E.EXPIRE): _S.EXPIRED,
    (_S.PRECHECKING, _E.DRY_RUN): _S.DRY_RUN_OK,
    (_S.DRY_RUN_OK, _E.HOLD): _S.APPROVED,
    (_S.DRY_RUN_OK, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.DRY_RUN_OK, _E.EXPIRE): _S.EXPIRED,
    (_S.DRY_RUN_OK, _E.APPLY): _S.APPLYING,
    (_S.APPLYING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.APPLYING, _E.CONFLICT): _S.CONFLICT,
    (_S.APPLYING, _E.REFUSE): _S.PRECHECK_FAILED,
    (_S.APPLYING, _E.APPLIED): _S.VERIFYING,
    (_S.APPLYING, _E.FAIL): _S.VERIFY_FAILED,
    (_S.APPLYING, _E.ESCALATE): _S.NEEDS_HUMAN,
    (_S.VERIFYING, _E.NEXT_WAVE): _S.APPLYING,
    (_S.VERIFYING, _E.VERIFY): _S.VERIFIED,
    (_S.VERIFYING, _E.FAIL): _S.VERIFY_FAILED,
    (_S.VERIFY_FAILED, _E.ROLL_BACK): _S.ROLLING_BACK,
    (_S.VERIFY_FAILED, _E.ESCALATE): _S.NEEDS_HUMAN,
    (_S.ROLLING_BACK, _E.ROLLED_BACK): _S.ROLLED_BACK,
    (_S.ROLLING_BACK, _E.ESCALATE): _S.NEEDS_HUMAN,
}
"""From APPLYING, supersede, conflict and refuse are for the case that nothing was written yet."""


def move(state: ChangeState, event: ChangeEvent) -> ChangeState:
    """Return the state after `event`.

    Raises:
        IllegalMove: the table has no such move.
    """
    return after(MOVES, "change", state, event)
