"""Brakes: what holds a change that would begin, and what stops one that has begun."""

from engine import meters
from engine.changes.policy import Hold, automatic, held, stopped
from engine.changes.policy.holding import open_until
from engine.changes.turn import Turn, ask
from engine.model.change_row import Freeze, Usage

ENGINE = "dogwatch"


async def brake(turn: Turn) -> Hold | None:
    """Return what holds a change that is about to begin; the breaker may freeze everything."""
    usage = await ask(turn.means.ledger.usage, turn.row, turn.now)
    meters.BREAKER.set(_broken(turn, usage))
    hold = held(turn.policy, turn.row, usage, turn.now)
    if hold is not None and hold.freeze_all:
        freeze = Freeze("all", ENGINE, hold.reason, turn.now)
        await ask(turn.means.ledger.freeze, freeze)
    return hold


async def repeats(turn: Turn) -> str:
    """Return why the same should not even be asked for again so soon; empty where it may be.

    It failed its verification again and again, or the policy would approve by itself what it
    approved just now. A freeze or a window is no reason: people may decide meanwhile.
    """
    usage = await ask(turn.means.ledger.usage, turn.row, turn.now)
    if _broken(turn, usage):
        return f"{len(usage.failures)} changes of it failed their verification lately"
    rests = usage.same is not None and turn.now < usage.same + turn.policy.file.budgets.again
    if rests and automatic(turn.policy, turn.row, turn.now):
        return "the same was done to it a short while ago"
    return ""


async def stop(turn: Turn) -> Hold | None:
    """Return what stops the next write of a change that has begun: a freeze, never a budget."""
    now = turn.means.clock.now()
    usage = await ask(turn.means.ledger.usage, turn.row, now)
    return stopped(turn.policy, turn.row, usage, now)


def _broken(turn: Turn, usage: Usage) -> bool:
    """Whether changes of the same rule and object failed so often that they rest."""
    until = open_until(turn.policy.file.breaker, usage.failures)
    return until is not None and turn.now < until
