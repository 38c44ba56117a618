"""Verify: watch what was written for a while; what cannot be told is not verified."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from engine.changes.intent import read
from engine.changes.policy import may_decide
from engine.changes.probes import HARD, Seen, judge
from engine.changes.record import WAVE, is_done, waves_verified
from engine.changes.turn import Astray, Go, Halt, Result, Turn, Wait
from engine.changes.work_out import looked
from engine.model.change import ProbeResult, Risk
from engine.model.change_row import Decision, Step, Verdict
from engine.model.change_state import ChangeEvent
from engine.model.errors import ClusterError, DogwatchError
from engine.model.moved import Moved
from engine.model.snapshot import Object

LOOKS: Final = 20
"""How often a window is looked into, as far as that is at least so many seconds apart:"""
NEAR_S: Final = 5.0
FAR_S: Final = 30.0


async def verifying(turn: Turn) -> Result:
    """Look once: a regression fails at once, all else is judged when the window ends."""
    results = await _results(turn)
    kept = (*_waves(turn), *results)
    broken = [one for one in results if one.name in HARD and one.holds is False]
    if broken:
        return Go(ChangeEvent.FAIL, Moved(reason=_why(broken), results=kept))
    denied = [one for one in _decided(turn) if one.verdict is Verdict.DENY]
    if denied:
        reason = f"{denied[0].who} did not confirm it"
        return Go(ChangeEvent.FAIL, Moved(reason=reason, results=kept))
    window = timedelta(seconds=turn.change.window_s)
    end = (turn.row.verify_from or turn.since) + window
    if turn.now < end:
        pause = min(max(turn.change.window_s / LOOKS, NEAR_S), FAR_S)
        return Wait(min(end, turn.means.clock.now() + timedelta(seconds=pause)), results=kept)
    return _judged(turn, results, kept)


def _judged(turn: Turn, results: Sequence[ProbeResult], kept: tuple[ProbeResult, ...]) -> Go:
    """Return how the window ended."""
    failing = [one for one in results if one.holds is not True]
    if failing:
        return Go(ChangeEvent.FAIL, Moved(reason=_why(failing), results=kept))
    if turn.change.risk is Risk.LOCKOUT and not _decided(turn):
        reason = "nobody confirmed in time that it locks nobody out"
        return Go(ChangeEvent.FAIL, Moved(reason=reason, results=kept))
    count = len({one.wave for one in turn.change.operations})
    at = waves_verified(turn.row) + 1
    if at < count:
        why = f"wave {at} of {count} is verified"
        wave = ProbeResult(name=WAVE, holds=True, why=why, at=turn.now)
        waves = (*_waves(turn), wave)
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
    seen = Seen(
        look=look,
        live=await _lives(turn, numbers),
        change=change,
        applied=numbers,
        since=row.verify_from or turn.since,
    )
    return tuple(judge(seen))


async def _lives(turn: Turn, numbers: Sequence[int]) -> dict[str, Object | None]:
    """Return the objects that were written by uid; None: gone; left out: not read."""
    row = turn.row
    writer = turn.means.writer(row.draft.target.cluster, row.draft.kind)
    lives: dict[str, Object | None] = {}
    for number in numbers:
        operation = turn.change.operations[number]
        try:
            lives[operation.target.uid] = await read(writer, operation)
        except ClusterError:
            continue
    return lives


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


def _waves(turn: Turn) -> tuple[ProbeResult, ...]:
    return tuple(one for one in turn.row.results if one.name == WAVE)


def _why(failing: Sequence[ProbeResult]) -> str:
    """Return what failed, or else what could not be told, in words."""
    false = [one for one in failing if one.holds is False]
    if false:
        return "; ".join(f"{one.name}: {one.why}" for one in false)
    told = "; ".join(f"{one.name}: {one.why}" for one in failing)
    return f"could not be verified: {told}"
