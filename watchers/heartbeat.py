"""Heartbeats: up to when a watcher has seen everything. And its faults, as signals."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Observation
from watchers.registry import ABSENT

EVERY = timedelta(seconds=5)
_ANSWERED = (*ABSENT, "refused")
"""The source answered, and said no: there is nothing to wait for."""
_LATE_S = 0.02
"""Two clocks are never quite together: one that looks too early would have to look again."""


class Pulse:
    """Follows the resources of one watcher of one cluster.

    A heartbeat at t says: of every resource that can be watched at all, all that happened
    up to t is on the bus already. It stops while one of them is cut off or still listing.
    A resource that is forbidden, missing or refused is left out, and told of; where all of them
    are, there is nothing to see, and heartbeats go on.
    """

    def __init__(self, watcher: str, cluster: str, resources: Iterable[str]) -> None:
        self.source = f"watchers/{watcher}/{cluster}"
        self._watcher = watcher
        self._cluster = cluster
        self._seen: dict[str, datetime | None] = dict.fromkeys(resources)
        self._faults: dict[str, str] = {}
        self._latest: datetime | None = None
        self._beaten: datetime | None = None

    @property
    def latest(self) -> datetime | None:
        """The latest time that was told of, None before the first."""
        return self._latest

    def time(self, at: datetime) -> datetime:
        """Return `at`, or the latest time before it where the clock went back."""
        self._latest = at if self._latest is None else max(at, self._latest)
        return self._latest

    def saw(self, resource: str, observation: Observation) -> list[Signal]:
        """Take note of an observation; return what is to be told of the watcher itself."""
        told = self.noted(resource, observation)
        beat = self.beat()
        return [*told, beat] if beat else told

    def noted(self, resource: str, observation: Observation) -> list[Signal]:
        """Take note of an observation without a heartbeat, as others of that moment follow."""
        at = self.time(observation.at)
        before, now = self._faults.get(resource, ""), _reason(observation.fault)
        if not now and not observation.partial:
            self._seen[resource] = at
        self._faults[resource] = now
        return [] if before == now else [self._state(resource, observation.fault, at)]

    def due_s(self, at: datetime) -> float:
        """Return the seconds from `at` until a heartbeat may be due, at most those between two."""
        left = EVERY if self._beaten is None else self._beaten + EVERY - at
        return (left if left > timedelta() else EVERY).total_seconds() + _LATE_S

    def settled(self, resources: Iterable[str]) -> bool:
        """Say whether each of `resources` has been listed or can not be."""
        return all(self._seen[r] is not None or self._faults.get(r) for r in resources)

    def known(self, resources: Iterable[str]) -> bool:
        """Say whether each of `resources` has been listed, or will not be: a fault may pass."""
        return all(self._seen[r] is not None or self._faults.get(r) in _ANSWERED for r in resources)

    def beat(self) -> Signal | None:
        """Return a heartbeat where one is due."""
        live = [at for name, at in self._seen.items() if self._faults.get(name) not in _ANSWERED]
        up_to = min((at for at in live if at is not None), default=self._latest)
        if None in live or up_to is None:
            return None
        if self._beaten is not None and up_to - self._beaten < EVERY:
            return None
        self._beaten = up_to
        return Signal(
            id=f"{self.source}/heartbeat@{up_to.isoformat()}",
            source=self.source,
            type=HEARTBEAT,
            time=up_to,
            cluster=self._cluster,
        )

    def _state(self, resource: str, fault: str, at: datetime) -> Signal:
        return Signal(
            id=f"{self.source}/{resource}@{at.isoformat()}",
            source=self.source,
            type="watcher",
            subject=resource,
            time=at,
            cluster=self._cluster,
            data={
                "watcher": self._watcher,
                "resource": resource,
                "state": "unread" if fault else "ok",
                "reason": _reason(fault),
                "message": fault,
            },
        )


def _reason(fault: str) -> str:
    return fault.partition(":")[0]
