"""Run one mission: collect, run, report; each step is journaled before the next begins."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.missions.collect import collect
from engine.missions.registry import MissionKind, kinds
from engine.model.errors import DogwatchError, SnapshotError, StoreError, nearest
from engine.model.instant import from_us, parse_rfc3339, rfc3339, to_us
from engine.model.mission import MissionRow
from engine.model.ports import Clock, Cluster
from engine.model.report import Coverage, Outcome, Report, Unknown
from engine.model.snapshot import ClusterSnapshot, Snapshot
from engine.rules import wording


class Journal(Protocol):
    """The results of the steps of missions, durable."""

    def journal(self, mission: str) -> Mapping[str, Any]:
        """Return step -> result of `mission`."""
        ...

    def record(self, mission: str, step: str, result: Any, *, epoch: int) -> None:
        """Keep the result of a step; it is durable on return.

        Raises Fenced when somebody else runs the mission now, with a newer epoch.
        """
        ...


class Shelf(Protocol):
    """Where the snapshots of missions are kept as evidence."""

    def keep(self, mission: str, snapshot: Snapshot) -> None:
        """Keep `snapshot` whole; it is durable on return."""
        ...

    def take(self, mission: str) -> Snapshot:
        """Return what was kept. Raises SnapshotError when it is gone or damaged."""
        ...


@dataclass(frozen=True)
class Order:
    """What to run: the mission row's part that does not change while one worker runs it."""

    id: str
    kind: str
    params: Mapping[str, Any]
    clusters: tuple[str, ...]
    rule: str = ""
    firing: str = ""
    epoch: int = 0


@dataclass(frozen=True)
class Means:
    """What a run works with; `limit_s` bounds collecting (a cluster) and running."""

    clusters: Mapping[str, Cluster]
    journal: Journal
    shelf: Shelf
    clock: Clock
    collect_s: float = 60.0
    run_s: float = 120.0


async def run(order: Order, means: Means) -> Report:
    """Return the report of `order`: what goes wrong with it makes it `failed`.

    A run that was cut off goes on behind its last journaled step, on the snapshot taken
    then, so that its report is the one it would have given.

    Raises:
        StoreError: the journal refuses; the same order may be run again.
        Fenced: somebody else runs this mission now.
    """
    started = means.clock.now()
    try:
        kind, params = prepare(order.kind, order.params)
        snapshot, now = await _collected(order, kind, params, means)
        found = await asyncio.wait_for(
            asyncio.to_thread(kind.run, snapshot, params, now), means.run_s
        )
    except TimeoutError:
        return failed(order, f"no result within {means.run_s:g} s", means.clock.now())
    except StoreError:
        raise
    except DogwatchError as error:
        return failed(order, str(error), means.clock.now())
    except Exception as error:  # noqa: BLE001 - one mission must not end all, at every start anew
        why = f"a fault of its own: {type(error).__name__}: {error}"
        return failed(order, why, means.clock.now())
    return found.model_copy(
        update={
            **_identity(order),
            "clusters": {name: one.digest() for name, one in snapshot.clusters.items()},
            "started": started,
            "finished": means.clock.now(),
        }
    )


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


async def _collected(
    order: Order, kind: MissionKind, params: Any, means: Means
) -> tuple[Snapshot, datetime]:
    """Return the snapshot of this run and the instant it stands for."""
    step = (await asyncio.to_thread(means.journal.journal, order.id)).get("collect")
    if step is not None:
        try:
            kept = await asyncio.to_thread(means.shelf.take, order.id)
        except SnapshotError:
            pass  # the evidence is gone: only a fresh look is honest
        else:
            return kept, from_us(parse_rfc3339(step["now"]))
    logs = kind.logs
    choose: Callable[[ClusterSnapshot], Any] | None = (
        (lambda cluster: logs(cluster, params)) if logs else None
    )
    wanted = {name: means.clusters.get(name) for name in order.clusters}
    snapshot = await collect(wanted, kind.needs, choose, means.clock, within_s=means.collect_s)
    now = means.clock.now()
    await asyncio.to_thread(means.shelf.keep, order.id, snapshot)
    step = {"now": rfc3339(to_us(now))}
    record = partial(means.journal.record, order.id, "collect", step, epoch=order.epoch)
    await asyncio.to_thread(record)
    return snapshot, now


def _identity(order: Order | MissionRow) -> dict[str, str]:
    return {"run_id": order.id, "rule": order.rule, "cause": order.firing}


def failed(order: Order | MissionRow, why: str, now: datetime) -> Report:
    """Return the report of a mission that came to nothing: it says why, and claims nothing."""
    return Report(
        kind=order.kind,
        **_identity(order),
        clusters=dict.fromkeys(order.clusters, ""),
        started=now,
        finished=now,
        outcome=Outcome.FAILED,
        summary=f"The mission failed: {why}.",
        coverage=Coverage(answered=0, possible=1, unknowns=[Unknown(what=order.kind, reason=why)]),
    )
