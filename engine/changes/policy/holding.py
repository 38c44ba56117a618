"""What puts a change off for now: freezes, windows, the breaker, budgets. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.changes.policy.approving import AUTOMATIC
from engine.changes.policy.config import BreakerConfig
from engine.changes.policy.policy import Policy, covers, places
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Freeze, Usage, Verdict
from engine.model.instant import format_duration, from_us, to_us
from engine.rules.mute import inside, muted_until, next_within

ALL: Final = "all"
"""The scope of a freeze that is for every cluster; one of a single cluster is `cluster/NAME`."""
_CLUSTER: Final = "cluster/"


@dataclass(frozen=True)
class Hold:
    """Not now.

    Attributes:
        reason: in words.
        until: when to look again; None: nobody can tell, look every few seconds.
        freeze_all: too much was rolled back: freeze everything until a person thaws it, and page.
    """

    reason: str
    until: datetime | None = None
    freeze_all: bool = False


def held(policy: Policy, row: ChangeRow, usage: Usage, now: datetime) -> Hold | None:
    """Return what keeps the change of `row` from beginning at `now`, None where nothing does.

    Freezes come first, as they hold longest; `usage` is what was read just now.
    """
    if row.change is None:
        return Hold("the change is not worked out yet")
    found = (check(policy, row, usage, now) for check in _CHECKS)
    return next((one for one in found if one is not None), None)


def stopped(_: Policy, row: ChangeRow, usage: Usage, now: datetime) -> Hold | None:
    """Return the freeze that stops the next write of a change that has begun, None for none.

    Neither the calendar nor a budget does: what they let begin is brought to an end.
    """
    stopping = (stopped_by(usage.freezes, cluster, now) for cluster, _ in places(row))
    freeze = next((one for one in stopping if one is not None), None)
    if freeze is None:
        return None
    because = f": {freeze.reason}" if freeze.reason else ""
    return Hold(f"frozen ({freeze.scope}) by {freeze.who}{because}")


def open_until(breaker: BreakerConfig, failures: Sequence[datetime]) -> datetime | None:
    """Return until when the breaker is open after `failures`, None while it never was.

    Args:
        breaker: after how many it opens, for how long at first, and at most.
        failures: instants, in any order.
    """
    more = len(failures) - breaker.failures
    if more < 0:
        return None
    span = breaker.open
    for _ in range(more):
        if span >= breaker.open_most:
            break
        span *= 2
    return max(failures) + min(span, breaker.open_most)


def stopped_by(freezes: Iterable[Freeze], cluster: str, now: datetime) -> Freeze | None:
    """Return the freeze that stops changes in `cluster` at `now`, None where none does.

    A scope that is not understood stops everything.
    """
    for one in freezes:
        elsewhere = one.scope.startswith(_CLUSTER) and one.scope != _CLUSTER + cluster
        if not elsewhere and (one.until is None or now < one.until):
            return one
    return None


def closed_until(
    policy: Policy, place: tuple[str, str], risk: Risk, now: datetime
) -> tuple[str, datetime] | None:
    """Return why the calendar allows no change of `risk` at `place`, and when to look again."""
    at = to_us(now)
    for freeze in policy.file.freezes:
        within = policy.intervals(freeze.during)
        end = muted_until(within, at) if covers(policy, freeze, place, risk) else None
        if end is not None:
            name = next(one.name for one in within if inside(one, at))
            because = f": {freeze.reason}" if freeze.reason else ""
            return f"freeze of the calendar, {name}{because}", from_us(end)
    for window in policy.file.windows:
        within = policy.intervals(window.during)
        if covers(policy, window, place, risk) and not any(inside(one, at) for one in within):
            names = " or ".join(one.name for one in within)
            return f"outside of the window {names}", from_us(next_within(within, at))
    return None


def _rolled_back(policy: Policy, _: ChangeRow, usage: Usage, __: datetime) -> Hold | None:
    if usage.rolled_back < policy.file.breaker.roll_backs_per_hour:
        return None
    reason = f"{usage.rolled_back} changes were rolled back within an hour"
    return Hold(reason, freeze_all=True)


def _calendar(policy: Policy, row: ChangeRow, _: Usage, now: datetime) -> Hold | None:
    risk = row.change.risk if row.change is not None else Risk.LOCKOUT
    closed = (closed_until(policy, place, risk, now) for place in places(row))
    found = next((one for one in closed if one is not None), None)
    return None if found is None else Hold(*found)


def _broken(policy: Policy, _: ChangeRow, usage: Usage, now: datetime) -> Hold | None:
    until = open_until(policy.file.breaker, usage.failures)
    if until is None or now >= until:
        return None
    return Hold(f"{len(usage.failures)} changes of it failed their verification lately", until)


def _busy(policy: Policy, row: ChangeRow, usage: Usage, _: datetime) -> Hold | None:
    most = policy.file.budgets.changes_per_hour
    if usage.begun < most:
        return None
    cluster = row.draft.target.cluster
    return Hold(f"{usage.begun} changes began in {cluster} within an hour; the budget is {most}")


def _again(policy: Policy, row: ChangeRow, usage: Usage, now: datetime) -> Hold | None:
    """Hold back what no person approved and was done to the same object a short while ago."""
    people = any(
        one.verdict is Verdict.APPROVE and not one.who.startswith(AUTOMATIC)
        for one in row.decisions
    )
    again = policy.file.budgets.again
    if people or usage.same is None or now >= usage.same + again:
        return None
    span = format_duration(again // timedelta(microseconds=1))
    return Hold(f"the same was done to it less than {span} ago", usage.same + again)


_Check = Callable[[Policy, ChangeRow, Usage, datetime], Hold | None]
_CHECKS: Final[tuple[_Check, ...]] = (stopped, _rolled_back, _calendar, _broken, _busy, _again)
