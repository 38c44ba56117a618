"""Verify: watch what was written for a while; what cannot be told is not verified."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import instant, mappings, text
from engine.changes.intent import read
from engine.changes.policy import may_decide
from engine.changes.probes import HARD, Seen, judge
from engine.changes.record import LOOK, WAVE, is_done, waves_verified, written
from engine.changes.turn import Astray, Go, Halt, Result, Turn, Wait
from engine.changes.work_out import looked
from engine.model.change import ProbeResult, Risk
from engine.model.change_row import Decision, Step, Verdict
from engine.model.change_state import ChangeEvent
from engine.model.errors import ClusterError, DogwatchError
from engine.model.moved import Moved
from engine.model.signal import MADE_BY
from engine.model.snapshot import Object

LOOKS: Final = 20
"""How often a window is looked into, as far as that is at least so many seconds apart:"""
NEAR_S: Final = 5.0
FAR_S: Final = 30.0
ENOUGH: Final = 3
"""How many looks it takes, by their count, whatever a clock says that was set meanwhile."""
APART: Final = 10
"""Two looks count as two where they are this share of the window apart, and at least:"""
LEAST_S: Final = 1.0
_ENDS: Final = "Killing"
"""The reason of the Event that tells of the end of an evicted pod."""
UNKNOWN_S: Final = 600.0
"""How long after its end what cannot be told is looked for again."""


async def verifying(turn: Turn) -> Result:
    """Look once: a regression fails at once, all else is judged when the window ends."""
    results = await _results(turn)
    looks = _looks(turn, results)
    kept = (*_named(turn, WAVE), *looks, *results)
    why = _broken(turn, results)
    if why:
        return Go(ChangeEvent.FAIL, Moved(reason=why, results=kept))
    until = _until(turn, results, len(looks))
    if until is not None:
        return Wait(until, results=kept)
    return _judged(turn, results, kept)


def _broken(turn: Turn, results: Sequence[ProbeResult]) -> str:
    """Return what makes it fail whatever else there is to be seen; empty for nothing."""
    regressed = [one for one in results if one.name in HARD and one.holds is False]
    if regressed:
        return _why(regressed)
    decided = _decided(turn)
    denied = [one.who for one in decided if one.verdict is Verdict.DENY]
    if denied:
        return f"{denied[0]} did not confirm it"
    if turn.change.risk is Risk.LOCKOUT and not decided and turn.now >= _end(turn):
        return "nobody confirmed in time that it locks nobody out"
    return ""


def _until(turn: Turn, results: Sequence[ProbeResult], looks: int) -> datetime | None:
    """Return when to look again; None where it is to be judged now.

    What is only unknown at the end may be told a little later: one failed read is no reason to
    undo what works.
    """
    window, now, end = turn.change.window_s, turn.means.clock.now(), _end(turn)
    near = max(window / 2, LEAST_S)
    soon = now + timedelta(seconds=min(max(window / LOOKS, NEAR_S), FAR_S, near))
    if turn.now < end:
        return min(end, soon)
    if any(one.holds is False for one in results):
        return None
    if any(one.holds is None for one in results):
        last = end + timedelta(seconds=UNKNOWN_S)
        return min(last, soon) if turn.now < last else None
    return None if looks >= ENOUGH else now + _apart(turn)


def _looks(turn: Turn, results: Sequence[ProbeResult]) -> tuple[ProbeResult, ...]:
    """Return the looks that count, with this one where it does: apart, and something was seen."""
    looks = _named(turn, LOOK)
    seen = any(one.holds is not None for one in results)
    near = bool(looks) and abs(turn.now - looks[-1].at) < _apart(turn)
    if not seen or near or len(looks) >= ENOUGH:
        return looks
    return (*looks, ProbeResult(name=LOOK, holds=True, why="something was seen", at=turn.now))


def _apart(turn: Turn) -> timedelta:
    return timedelta(seconds=max(turn.change.window_s / APART, LEAST_S))


def _end(turn: Turn) -> datetime:
    return (turn.row.verify_from or turn.since) + timedelta(seconds=turn.change.window_s)


def _judged(turn: Turn, results: Sequence[ProbeResult], kept: tuple[ProbeResult, ...]) -> Go:
    """Return how the window ended."""
    failing = [one for one in results if one.holds is not True]
    if failing:
        return Go(ChangeEvent.FAIL, Moved(reason=_why(failing), results=kept))
    count = len({one.wave for one in turn.change.operations})
    at = waves_verified(turn.row) + 1
    if at < count:
        why = f"wave {at} of {count} is verified"
        wave = ProbeResult(name=WAVE, holds=True, why=why, at=turn.now)
        waves = (*_named(turn, WAVE), wave)
        return Go(ChangeEvent.NEXT_WAVE, Moved(reason=why, results=waves))
    return Go(ChangeEvent.VERIFY, Moved(reason="everything that was checked holds", results=kept))


async def _results(turn: Turn) -> tuple[ProbeResult, ...]:
    """Return what the probes find now; what cannot be read makes them unknown."""
    try:
        return await _found(turn)
    except (ClusterError, Halt) as error:
        unknown = f"the cluster could not be read: {error}"
    except DogwatchError:
        raise
    except Exception as error:  # noqa: BLE001 - objects are hostile: a probe's fault is an unknown
        unknown = str(Astray(error))
    return tuple(
        ProbeResult(name=one.name, holds=None, why=unknown, at=turn.now)
        for one in turn.change.probes
    )


async def _found(turn: Turn) -> tuple[ProbeResult, ...]:
    row, change = turn.row, turn.change
    look = await looked(turn)
    numbers = tuple(n for n in range(len(change.operations)) if is_done(row, Step.DO, n))
    lives = await _lives(turn, numbers)
    since = (row.verify_from or turn.since) + _ahead(turn, numbers, lives, look.view)
    return tuple(judge(Seen(look, lives, change, numbers, since)))


async def _lives(turn: Turn, numbers: Sequence[int]) -> dict[str, Object | None]:
    """Return the objects that were written by uid; None: gone; left out: not read."""
    lives: dict[str, Object | None] = {}
    for number in numbers:
        operation = turn.change.operations[number]
        try:
            lives[operation.target.uid] = await read(turn.writer(), operation)
        except ClusterError:
            continue
    return lives


def _ahead(
    turn: Turn, numbers: Sequence[int], lives: Mapping[str, Object | None], view: ClusterView
) -> timedelta:
    """Return how far the clock of the server is ahead of ours, at least; its events tell by it.

    Where nothing tells when the server took what we wrote, both are held to be in step.
    """
    found = []
    for number in numbers:
        uid = turn.change.operations[number].target.uid
        ours, last = written(turn.row, Step.DO, number), _taken(uid, lives, view)
        if ours is not None and ours.ended is not None and last is not None:
            found.append(last - ours.ended)
    return min(found, default=timedelta())


def _taken(uid: str, lives: Mapping[str, Object | None], view: ClusterView) -> datetime | None:
    """Return when the server took our last write of an object, by its own clock."""
    live = lives.get(uid)
    if live is None:
        ends = (one.last for one in view.events if (one.uid, one.reason) == (uid, _ENDS))
        return max((at for at in ends if at is not None), default=None)
    entries = mappings(live, "metadata", "managedFields")
    ours = (instant(one, "time") for one in entries if text(one, "manager") == MADE_BY)
    return max((at for at in ours if at is not None), default=None)


def _decided(turn: Turn) -> list[Decision]:
    """Return what was said on exactly this since it was written, by those who may say it."""
    row, begun = turn.row, turn.row.verify_from
    return [
        one
        for one in row.decisions
        if begun is not None
        and one.at > begun
        and one.digest == row.digest
        and (user := turn.policy.users.get(one.who)) is not None
        and not may_decide(turn.policy, user, row, one.verdict)
    ]


def _named(turn: Turn, name: str) -> tuple[ProbeResult, ...]:
    return tuple(one for one in turn.row.results if one.name == name)


def _why(failing: Sequence[ProbeResult]) -> str:
    """Return what failed, or else what could not be told, in words."""
    false = [one for one in failing if one.holds is False]
    if false:
        return "; ".join(f"{one.name}: {one.why}" for one in false)
    told = "; ".join(f"{one.name}: {one.why}" for one in failing)
    return f"could not be verified: {told}"
