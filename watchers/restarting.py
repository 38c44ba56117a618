"""Restarting: how often pods restart, and whether they do so ever faster. Pure."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from engine.analysis.robust import median
from engine.model.signal import Signal
from watchers.aims import lasting

MOST_PODS: Final = 5_000
_KEPT: Final = 8
_LEAST: Final = 5
_FASTER: Final = 0.9
_WITHIN: Final = 0.35
_KILLED_S: Final = 3 * 86400.0
_CHANGED_S: Final = 3600.0

Workload = tuple[str, str]


class Faster(NamedTuple):
    """A pod whose restarts come faster and faster.

    Attributes:
        uid: of the pod.
        data: namespace, name, workload, node and restarts of it.
        horizon_s: until the next one.
        confidence: share of its later restarts that came when the ones before foretold, less for
            few of them.
        message: in words.
    """

    uid: str
    data: Mapping[str, Any]
    horizon_s: float
    confidence: float
    message: str


class _Pod:
    __slots__ = ("count", "data", "looping", "times")

    def __init__(self, count: int) -> None:
        self.count = count
        self.data: Mapping[str, Any] = {}
        self.looping = False
        self.times: list[float] = []


class Restarting:
    """The restarts that were seen, by pod; and when each workload last changed."""

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}
        self._killed: dict[Workload, float] = {}
        self._changed: dict[Workload, float] = {}

    def take(self, signal: Signal) -> None:
        """Take note of a Pod."""
        data = signal.data
        change, at_s = data.get("change"), signal.time.timestamp()
        workload = str(data.get("namespace", "")), str(data.get("workload", ""))
        if change in {"added", "deleted"}:
            self._changed[workload] = at_s
        if change == "deleted":
            self._pods.pop(str(data.get("uid")), None)
        elif type(count := data.get("restarts")) is int:
            self._count(data, count, at_s, workload)

    def killed(self, namespace: str, workload: str, now_s: float) -> bool:
        """Whether a container of `workload` ran out of memory within the last days."""
        return now_s - self._killed.get((namespace, workload), float("-inf")) < _KILLED_S

    def changed(self, namespace: str, workload: str, now_s: float) -> bool:
        """Whether pods of `workload` came or went within the last hour."""
        return now_s - self._changed.get((namespace, workload), float("-inf")) < _CHANGED_S

    def tidy(self, now_s: float) -> None:
        """Forget what is too long ago to matter."""
        self._killed = {k: at for k, at in self._killed.items() if now_s - at < _KILLED_S}
        self._changed = {k: at for k, at in self._changed.items() if now_s - at < _CHANGED_S}

    def faster(self, now_s: float) -> list[Faster]:
        """Return the pods that restart ever faster, and do not wait in a crash loop by now."""
        found = (_faster(uid, pod, now_s) for uid, pod in self._pods.items() if not pod.looping)
        return [one for one in found if one is not None]

    def _count(self, data: Mapping[str, Any], count: int, at_s: float, workload: Workload) -> None:
        uid = str(data.get("uid"))
        pod = self._pods.get(uid)
        if pod is None:
            if not count or len(self._pods) >= MOST_PODS:
                return
            # One that is not known yet had none before it was modified.
            pod = self._pods[uid] = _Pod(0 if data.get("change") == "modified" else count)
        pod.looping = "CrashLoopBackOff" in (data.get("waiting") or ())
        if count > pod.count:
            pod.data = {n: data.get(n, "") for n in ("namespace", "name", "workload", "node")}
            pod.times = [*pod.times, at_s][-_KEPT:]
            if "OOMKilled" in (data.get("terminated") or ()):
                self._killed[workload] = at_s
        elif count < pod.count:
            pod.times = []
        pod.count = count


def _faster(uid: str, pod: _Pod, now_s: float) -> Faster | None:
    times = pod.times
    if len(times) < _LEAST:
        return None
    waits = [later - before for before, later in pairwise(times)]
    if min(waits) <= 0:
        return None
    ratios = [later / before for before, later in pairwise(waits)]
    ratio = median(ratios)
    if ratio > _FASTER or max(ratios) >= 1:
        return None
    told = [(waits[n] * median(ratios[:n]), waits[n + 1]) for n in range(1, len(ratios))]
    held = sum(abs(came - due) <= _WITHIN * due for due, came in told) / len(told)
    wait_s = waits[-1] * ratio
    left_s = times[-1] + wait_s - now_s
    if left_s < -wait_s:
        return None
    shown = ", ".join(lasting(one) for one in waits)
    message = f"restarts come faster and faster: {shown} apart, the next in {lasting(left_s)}"
    data = {**pod.data, "restarts": pod.count}
    enough = len(waits) / (len(waits) + 1)
    return Faster(uid, data, max(left_s, 0.0), held * enough, message)
