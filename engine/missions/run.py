"""Steps of one leg of a mission: collect, run, advise; each is journaled before the next begins."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.changes.policy import Place
from engine.missions.collect import collect
from engine.missions.reach import with_reach
from engine.missions.registry import MissionKind, kinds
from engine.missions.targets import resolve
from engine.model.advice import Advised
from engine.model.change_row import ChangeRow
from engine.model.errors import DogwatchError, SnapshotError, StoreError, nearest
from engine.model.instant import from_us, parse_rfc3339, rfc3339, to_us
from engine.model.mission import MissionRow
from engine.model.moved import Tell, nobody
from engine.model.ports import Clock, Cluster
from engine.model.report import Coverage, Outcome, Report, Unknown
from engine.model.snapshot import Snapshot
from engine.rules import wording


class Journal(Protocol):
    """The results of the steps of missions, and the changes they proposed, durable."""

    def journal(self, mission: str) -> Mapping[str, Any]:
        """Return step -> result of `mission`."""
        ...

    def record(self, mission: str, step: str, result: Any, *, epoch: int) -> None:
        """Keep the result of a step; it is durable on return.

        Raises Fenced when somebody else runs the mission now, with a newer epoch.
        """
        ...

    def changes(self, *, mission: str) -> Sequence[ChangeRow]:
        """Return the changes that `mission` proposed."""
        ...

    def withdraw(self, mission: str, who: str, now: datetime, deliveries: Tell) -> int:
        """Take back the changes of `mission` of which nothing was written yet, and tell of it."""
        ...


class Shelf(Protocol):
    """Where the snapshots of missions are kept as evidence."""

    def keep(self, mission: str, snapshot: Snapshot) -> None:
        """Keep `snapshot` whole; it is durable on return."""
        ...

    def take(self, mission: str) -> Snapshot:
        """Return what was kept. Raises SnapshotError when it is gone or damaged."""
        ...


Advise = Callable[[Report, str], Awaitable[Advised]]
STALE: Final = timedelta(hours=1)
"""How old a snapshot may be on which a leg that was cut off goes on."""


@dataclass(frozen=True)
class Means:
    """What a leg works with.

    Attributes:
        clusters: how to read each cluster, by name.
        places: what targets choose clusters by, by name; one that is not there has only that.
        collect_s, run_s: bound collecting (a cluster) and thinking.
        gate_s: how long a leg waits at most for what it proposed.
        changeable: clusters where changes can be made; None: all of them.
        advise: asks the model; None where there is none. It bounds itself.
        tell: says who hears of a change that is taken back.
    """

    clusters: Mapping[str, Cluster]
    journal: Journal
    shelf: Shelf
    clock: Clock
    collect_s: float = 60.0
    run_s: float = 120.0
    gate_s: float = 7 * 86_400.0
    places: Mapping[str, Place] = field(default_factory=dict)
    changeable: frozenset[str] | None = None
    advise: Advise | None = None
    tell: Tell = nobody


@dataclass
class _Steps:
    """The journaled steps of one leg: those of the first by their names, `NAME/PHASE` later."""

    mission: MissionRow
    journal: Journal
    done: dict[str, Any] = field(default_factory=dict)

    async def load(self) -> None:
        self.done = dict(await asyncio.to_thread(self.journal.journal, self.mission.id))

    def get(self, step: str) -> Any | None:
        return self.done.get(self._name(step))

    async def keep(self, step: str, result: Any) -> None:
        name, row = self._name(step), self.mission
        record = partial(self.journal.record, row.id, name, result, epoch=row.epoch)
        await asyncio.to_thread(record)
        self.done[name] = result

    def _name(self, step: str) -> str:
        once = self.mission.phase == 1 or step == "targets"
        return step if once else f"{step}/{self.mission.phase}"


async def run(mission: MissionRow, means: Means) -> Report:
    """Return what this leg of `mission` found: what goes wrong with it makes it `failed`.

    A leg that was cut off goes on behind its last journaled step: with the clusters chosen
    then, on the snapshot taken then, with the report made of it.

    Raises:
        StoreError: the journal refuses; the same leg may be run again.
        Fenced: somebody else runs this mission now, or it was cancelled.
    """
    steps = _Steps(mission, means.journal)
    try:
        await steps.load()
        report = await _found(steps, means)
        return await _advised(steps, means, report)
    except TimeoutError:
        return failed(mission, f"no result within {means.run_s:g} s", means.clock.now())
    except StoreError:
        raise
    except DogwatchError as error:
        return failed(mission, str(error), means.clock.now())
    except Exception as error:  # noqa: BLE001 - one mission must not end all, at every start anew
        why = f"a fault of its own: {type(error).__name__}: {error}"
        return failed(mission, why, means.clock.now())


def prepare(name: str, params: Mapping[str, Any]) -> tuple[MissionKind, Any]:
    """Return the kind `name` and its checked params.

    Raises:
        DogwatchError: there is no such kind, or the params do not fit; all faults named.
    """
    known = kinds()
    if name not in known:
        raise DogwatchError(
            f"unknown mission kind '{name}'; known: {', '.join(known)}{nearest(name, known)}"
        )
    kind = known[name]
    try:
        return kind, kind.params.model_validate(dict(params))
    except ValidationError as error:
        faults = "; ".join(_fault(kind, details) for details in error.errors())
        raise DogwatchError(f"{name}: {faults}") from error


def _fault(kind: MissionKind, details: ErrorDetails) -> str:
    param = ".".join(map(str, details["loc"]))
    if details["type"] == "extra_forbidden":
        return wording.unknown("param", param, kind.params.model_fields)
    return f"param '{param}': {details['msg']}, found {wording.quoted(str(details['input']))}"


async def _found(steps: _Steps, means: Means) -> Report:
    """Return the report of the kind over the clusters of this mission."""
    if (kept := steps.get("run")) is not None:
        return Report.model_validate(kept)
    mission, started = steps.mission, means.clock.now()
    kind, params = prepare(mission.kind, mission.params)
    snapshot, now = await _collected(steps, kind, params, means)
    async with asyncio.timeout(means.run_s):
        found = await asyncio.to_thread(kind.run, snapshot, params, now)
    times = {"started": started, "finished": means.clock.now()}
    report = with_reach(found, snapshot).model_copy(update={**_identity(mission), **times})
    await steps.keep("run", report.model_dump(mode="json"))
    return report


async def _advised(steps: _Steps, means: Means, report: Report) -> Report:
    """Return `report` with what the model added, if it is to be asked; it is asked once."""
    if means.advise is None or steps.mission.advise == "off":
        return report
    if (kept := steps.get("advise")) is not None:
        return Report.model_validate(kept["report"])
    advised = await means.advise(report, steps.mission.advise)
    result = {"report": advised.report.model_dump(mode="json"), "record": advised.record}
    await steps.keep("advise", result)
    return advised.report


async def _collected(
    steps: _Steps, kind: MissionKind, params: Any, means: Means
) -> tuple[Snapshot, datetime]:
    """Return the snapshot of this leg and the instant it stands for."""
    mission = steps.mission
    shelved = mission.id if mission.phase == 1 else f"{mission.id}.{mission.phase}"
    if (kept := await _kept(steps, shelved, means)) is not None:
        return kept
    choose = kind.choosing(params)
    wanted = {name: means.clusters.get(name) for name in await _targets(steps, means)}
    snapshot = await collect(wanted, kind.needs, choose, means.clock, within_s=means.collect_s)
    now = means.clock.now()
    await asyncio.to_thread(means.shelf.keep, shelved, snapshot)
    await steps.keep("collect", {"now": rfc3339(to_us(now))})
    return snapshot, now


async def _kept(steps: _Steps, shelved: str, means: Means) -> tuple[Snapshot, datetime] | None:
    """Return what this leg collected before it was cut off, None where a fresh look is due."""
    step = steps.get("collect")
    taken = from_us(parse_rfc3339(step["now"])) if step is not None else None
    if taken is None or means.clock.now() - taken > STALE:
        return None
    try:
        return await asyncio.to_thread(means.shelf.take, shelved), taken
    except SnapshotError:
        return None  # the evidence is gone: only a fresh look is honest


async def _targets(steps: _Steps, means: Means) -> tuple[str, ...]:
    """Return the clusters of the mission: chosen in its first leg, and the same ever after."""
    mission = steps.mission
    if mission.clusters:
        return mission.clusters
    if (kept := steps.get("targets")) is not None:
        return tuple(kept)
    places = {name: means.places.get(name, Place()) for name in means.clusters}
    chosen = resolve(mission.targets or {"all": True}, places)
    await steps.keep("targets", list(chosen))
    return chosen


def _identity(mission: MissionRow) -> dict[str, Any]:
    return {
        "run_id": mission.id,
        "rule": mission.rule,
        "cause": mission.firing,
        "phase": mission.phase,
        "total_phases": mission.phase,
    }


def failed(mission: MissionRow, why: str, now: datetime) -> Report:
    """Return the report of a mission that came to nothing: it says why, and claims nothing."""
    return Report(
        kind=mission.kind,
        **_identity(mission),
        clusters=dict.fromkeys(mission.clusters, ""),
        started=now,
        finished=now,
        outcome=Outcome.FAILED,
        summary=f"The mission failed: {why}.",
        coverage=Coverage(
            answered=0, possible=1, unknowns=[Unknown(what=mission.kind, reason=why)]
        ),
    )
