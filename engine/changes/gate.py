"""The gate: from a worked-out change to an approved one, or to its end without anything written."""

from datetime import datetime, timedelta
from typing import Final

from engine import meters
from engine.changes.asking import asked_again
from engine.changes.brakes import brake
from engine.changes.locks import AT_WORK, taken
from engine.changes.policy import AUTOMATIC, Hold, automatic, judge, needed, timing
from engine.changes.turn import Again, Go, Result, Turn, Wait, ask
from engine.model.change_row import ChangeRow, Decision, Judgement, Verdict
from engine.model.change_state import ChangeEvent
from engine.model.delivery import Occasion
from engine.model.errors import Refused
from engine.model.moved import Moved

LATE: Final = "nobody decided in time"
WRITER: Final = Moved().actor
LOOK_S: Final = 10.0
"""How soon it is looked again whether something still holds a change, where nobody can tell."""


async def proposed(turn: Turn) -> Result:
    """Let the policy approve it, or ask people; one that is only planned waits for nobody."""
    row = turn.row
    if turn.expired():
        return Go(ChangeEvent.EXPIRE, Moved(reason=LATE))
    if row.mode == "plan":
        return Wait(row.expires or turn.now)
    name = automatic(turn.policy, row, turn.now)
    if name:
        return await _by_policy(turn, name)
    wanted = needed(turn.policy, row)
    deliveries = await ask(turn.means.asks, row, Occasion.APPROVAL, turn.now)
    return Go(
        ChangeEvent.ASK,
        Moved(
            reason=f"approvals needed: {wanted.people}",
            next_at=_next(turn),
            deliveries=deliveries,
        ),
    )


async def awaiting(turn: Turn) -> Result:
    """Remind those who were asked, until somebody decides or it is too late."""
    if turn.expired():
        return Go(ChangeEvent.EXPIRE, Moved(reason=LATE))
    due = [(at, occasion) for at, occasion in _occasions(turn) if at <= turn.now]
    if not due:
        return Wait(_next(turn))
    at, occasion = due[-1]
    # What is told is known by its instant: however often it is found due, it is sent once.
    deliveries = await ask(turn.means.asks, turn.row, occasion, at)
    return Wait(_next(turn), deliveries=tuple(deliveries))


async def approved(turn: Turn) -> Result:
    """Take it up unless something holds it; one that is held already stays without a word."""
    row = turn.row
    if turn.expired():
        reason = f"approved, but not done in time: {row.reason}"
        return Go(ChangeEvent.EXPIRE, Moved(reason=reason))
    if row.mode == "plan":
        reason = "it was to be planned only; run the mission in mode apply"
        return Go(ChangeEvent.SUPERSEDE, Moved(reason=reason))
    hold = await held_back(turn)
    if hold is None and row.reason.endswith(AT_WORK):
        hold = await taken(turn)
    if hold is not None and hold.reason == row.reason:
        return Wait(_within(turn, hold.until))
    _measure(turn)
    return Go(ChangeEvent.BEGIN, Moved(reason="is checked once more"))


def _measure(turn: Turn) -> None:
    """Note how long the decision took, the first time that it is taken up."""
    row, span = turn.row, timedelta(seconds=timing(turn.policy, turn.row).expires_s)
    if row.actor != WRITER and row.expires is not None:
        waited = turn.since - (row.expires - span)
        meters.APPROVAL_WAIT.observe(max(0.0, waited.total_seconds()))


async def held_back(turn: Turn) -> Hold | None:
    """Return why it may not begin now: it is not approved any more, or a brake is on."""
    why = _unapproved(turn)
    return Hold(why) if why else await brake(turn)


def _unapproved(turn: Turn) -> str:
    """Return why the decisions do not approve exactly what would be done; empty where they do."""
    row = turn.row
    if row.change is None or row.change.digest != row.digest:
        return "what was approved is not what is kept"
    judgement = judge(turn.policy, row, turn.now)
    return "" if judgement.verdict is Verdict.APPROVE else judgement.reason


async def _by_policy(turn: Turn, name: str) -> Result:
    row = turn.row
    decision = Decision(
        change=row.id,
        digest=row.digest,
        who=f"{AUTOMATIC}{name}",
        verdict=Verdict.APPROVE,
        via="policy",
        at=turn.now,
    )
    try:
        await ask(turn.means.ledger.decide, decision, _taken, turn.now)
    except Refused:
        return turn.again()
    return Again()


def _taken(row: ChangeRow) -> Judgement:
    return Judgement(Verdict.APPROVE, f"approved by {row.decisions[-1].who}")


def _occasions(turn: Turn) -> list[tuple[datetime, Occasion]]:
    """Return when people are told that it waits, from when they were asked, in order."""
    expires = turn.row.expires or turn.now
    reminders = [
        (turn.since + (expires - turn.since) * share, Occasion.REMINDER)
        for share in timing(turn.policy, turn.row).reminders
    ]
    return sorted([*reminders, (asked_again(turn.since), Occasion.APPROVAL)])


def _next(turn: Turn) -> datetime:
    """Return when people are told the next time, or when it is too late."""
    expires = turn.row.expires or turn.now
    return min((at for at, _ in _occasions(turn) if turn.now < at < expires), default=expires)


def _within(turn: Turn, until: datetime | None) -> datetime:
    """Return `until`, at most when the approval ends; None stands for: within a minute."""
    soon = turn.now + timedelta(seconds=LOOK_S)
    return min(until or soon, turn.row.expires or soon)
