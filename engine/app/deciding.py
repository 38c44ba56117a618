"""The desk: every decision of a person, whichever way it comes, goes through here."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from engine.changes.asking import asks
from engine.changes.policy import (
    Needed,
    Policy,
    User,
    judge,
    may_decide,
    needed,
    user_named,
    user_of_email,
    user_of_slack,
    user_of_token,
)
from engine.model.change import Change
from engine.model.change_row import ChangeRow, Decision, Judgement, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Delivery, Occasion
from engine.model.errors import Refused
from engine.model.moved import Tell
from engine.model.ports import Clock
from engine.store.store import Store
from engine.web.ports import Decided

LOG = structlog.get_logger()
_ENDED = {ChangeState.APPROVED, ChangeState.REJECTED, ChangeState.EXPIRED}


class Desk:
    """Knows the users of the policy in force, and takes their decisions; fulfils the web's port.

    `in_force` gives the policy, None where none is valid; `tell` says who hears of a change that
    was decided about; `told` is called when there may be something to deliver; `sign_in` knows
    whom an issuer of tokens vouches for.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what the desk is made of
        self,
        store: Store,
        in_force: Callable[[], Policy | None],
        tell: Tell,
        clock: Clock,
        told: Callable[[], None] = lambda: None,
        sign_in: Callable[[str], User | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._in_force = in_force
        self._tell = tell
        self._clock = clock
        self._told = told
        self._sign_in = sign_in

    @property
    def policy(self) -> Policy | None:
        """The policy in force; None: nobody is known, and nothing is changed."""
        return self._in_force()

    def user_of_token(self, token: str) -> User | None:
        """Return whose token this is."""
        policy = self.policy
        if policy is None:
            return None
        return user_of_token(policy, token) or self._sign_in(token)

    def user_of_slack(self, team: str, id: str) -> User | None:  # noqa: A002 - Slack's word
        """Return who this member of a Slack team is."""
        policy = self.policy
        return user_of_slack(policy, team, id) if policy else None

    def user_of_email(self, address: str) -> User | None:
        """Return whose address this is."""
        policy = self.policy
        return user_of_email(policy, address) if policy else None

    def user_named(self, name: str) -> User | None:
        """Return the user of this name, as long as the policy has one."""
        policy = self.policy
        return user_named(policy, name) if policy else None

    async def once(self, nonce: str, until: datetime) -> bool:
        """Return whether `nonce` comes for the first time. Raises StoreError."""
        return await asyncio.to_thread(self._store.once, nonce, until, self._clock.now())

    async def decide(  # noqa: PLR0913 - the parts of a decision
        self,
        user: User,
        change: str,
        digest: str,
        verdict: Verdict,
        *,
        via: str,
        typed: str = "",
        comment: str = "",
    ) -> Decided:
        """Take a decision on exactly `digest`.

        Raises:
            Refused: it does not count; the sentence is for the person.
            StoreError: the store did not answer; nothing was decided, or all of it.
        """
        decision = Decision(
            change=change,
            digest=digest,
            who=user.name,
            verdict=verdict,
            via=via,
            at=self._clock.now(),
            typed=typed,
            comment=comment,
        )
        decided = await asyncio.to_thread(self._decide, user, decision)
        self._told()
        return decided

    def _decide(self, user: User, decision: Decision) -> Decided:
        policy = self.policy
        if policy is None:
            raise Refused("no policy is in force: nobody can decide, and nothing is changed")
        row = self._store.change(decision.change)
        if row is None:
            raise Refused(f"there is no change '{decision.change}'")
        if why := _refusal(policy, user, row, decision):
            LOG.warning("decision refused", change=row.id, who=user.name, via=decision.via, why=why)
            raise Refused(why)
        now = self._clock.now()

        def judged(at_hand: ChangeRow) -> Judgement:
            return judge(policy, at_hand, now)

        after = self._store.decide(decision, judged, now, self._tell)
        LOG.info(
            "decided",
            change=after.id,
            who=user.name,
            via=decision.via,
            verdict=decision.verdict.value,
            state=after.state.value,
        )
        return Decided(after, _said(decision, after, judge(policy, after, now)))


def wanted_of(row: ChangeRow, policy: Policy | None) -> Needed:
    """Return what approving the change of `row` asks for; without a policy nobody may."""
    return needed(policy, row) if policy is not None else Needed(0, "", ())


def told_of(row: ChangeRow, policy: Policy | None, now: datetime, url: str) -> Sequence[Delivery]:
    """Return who is told at once that a decision was made about `row`.

    While more people are needed they are asked again, and hear who has approved. `url` is of the
    pages.
    """
    wanted = wanted_of(row, policy)
    if row.state in _ENDED:
        return asks(row, Occasion.CHANGE, now, url=url, needed=wanted)
    if row.state is ChangeState.AWAITING:
        return asks(row, Occasion.REMINDER, now, url=url, needed=wanted)
    return ()


def _refusal(policy: Policy, user: User, row: ChangeRow, decision: Decision) -> str:
    """Return why `user` may not decide so, in words; empty where it is allowed."""
    if why := may_decide(policy, user, row, decision.verdict):
        return why
    wanted = needed(policy, row).typed
    if decision.verdict is Verdict.APPROVE and wanted and decision.typed != wanted:
        return f"type the name of what is changed, '{wanted}', to approve this"
    return ""


def _said(decision: Decision, row: ChangeRow, judgement: Judgement) -> str:
    what = _title(row.change) or row.draft.title
    if row.state is ChangeState.REJECTED:
        return f"Denied: {what}. Nothing was changed."
    if row.state in {ChangeState.PROPOSED, ChangeState.AWAITING}:
        return f"Your word counts: {what}. Still missing: {judgement.reason}."
    if decision.verdict is Verdict.APPROVE and row.state is ChangeState.APPROVED:
        return f"Approved: {what}. It is checked once more, applied, and verified."
    return f"Kept: {what} ({row.state})."


def _title(change: Change | None) -> str:
    return change.draft.title if change is not None else ""
