"""The use of workloads and nodes over days: remembered over restarts, compared with requests."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from engine.metrics.usage import Day, Use, Whose, encoded, key_of, uses
from engine.model.errors import MetricsError, StoreError
from engine.model.ports import Memory, Metrics
from engine.model.series import Series
from watchers.aside import aside
from watchers.metric_facts import Sample, pod_labels
from watchers.metric_queries import PAST
from watchers.placing import Places

_RETRY_S: Final = 5.0
_KEEP_EVERY: Final = timedelta(minutes=15)
_ENOUGH_HOURS: Final = 12
"""Of so many of the last 24 hours the use must be known, before a request is called too large."""
_DAY: Final = timedelta(hours=24)
_HALF_HOUR: Final = timedelta(minutes=30)
_HOUR_S: Final = 3600.0
_FORGET: Final = timedelta(days=8)
_LEAST: Final[Mapping[str, float]] = {"cpu": 0.001, "memory": float(1 << 20)}
"""Use below a millicore, or a mebibyte, counts as that: what is idle must divide as well."""
_MOST: Final = 50_000


class Usage:
    """What is known of the use of one cluster; `begin` before all else."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._uses: dict[Whose, Use] = {}
        self._changed: set[Whose] = set()
        self._keep_at: datetime | None = None
        self._told_hour = -1
        self._asked_past: datetime | None = None

    async def begin(self) -> None:
        """Recall what was known before this process began; wait for the store as long as needed.

        Else what it has would be overwritten by the little that is known after a start.
        """
        while True:
            try:
                self._uses = uses(await self._memory.recall())
            except StoreError:
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def take(self, resource: str, samples: Iterable[Sample], at: datetime) -> None:
        """Take in the use of pods at `at`, in cores or bytes, with the labels of pods."""
        at_s = at.timestamp()
        for sample in samples:
            labels = sample.labels
            use = self._use(Whose(labels["namespace"], labels["workload"], resource))
            if use is not None:
                use.spread.add(sample.value, at_s)
                use.days.setdefault(labels["pod"], Day()).add(sample.value, at_s)

    def take_nodes(self, samples: Iterable[Sample], at: datetime) -> None:
        """Take in the use of nodes at `at`, as shares of what they have."""
        for sample in samples:
            resource = sample.metric.split("_")[1]
            use = self._use(Whose("", sample.labels["node"], resource))
            if use is not None:
                use.spread.add(sample.value, at.timestamp())

    async def fill(self, metrics: Metrics, at: datetime, places: Places) -> None:
        """Ask a Prometheus once for the last 24 hours of the pods that are known for less.

        What it cannot say stays unknown; it is asked again an hour later where it gave nothing.
        """
        if self._asked_past is not None and at - self._asked_past < timedelta(hours=1):
            return
        self._asked_past = at
        for resource, expressions in PAST.items():
            for expression in expressions:
                try:
                    series = await metrics.range(expression, at - _DAY, at, _HOUR_S)
                except MetricsError:
                    return
                if series:
                    points = sum(len(one.points) for one in series)
                    await aside(partial(self._fill, resource, series, places), points)
                    break
        self._asked_past = datetime.max.replace(tzinfo=UTC)

    def ratios(self, at: datetime, places: Places) -> list[Sample]:
        """Return, once an hour, what pods request over their mean use of the last 24 h."""
        hour = int(at.timestamp() // _HOUR_S)
        found = list(self._ratios(at, places)) if hour != self._told_hour else []
        if found:
            self._told_hour = hour
        return found

    async def keep(self, at: datetime) -> None:
        """Remember what is known, every quarter of an hour; what the store refuses comes later."""
        if self._keep_at is None:
            self._keep_at = at + _KEEP_EVERY
        if at < self._keep_at:
            return
        self._keep_at = at + _KEEP_EVERY
        changes = await aside(partial(self._changes, at), len(self._changed))
        old = [whose for whose, use in self._uses.items() if _is_over(use, at)]
        changes |= dict.fromkeys(map(key_of, old))
        try:
            await self._memory.keep(changes)
        except StoreError:
            return
        self._changed.clear()
        for whose in old:
            del self._uses[whose]

    def _changes(self, at: datetime) -> dict[str, bytes | None]:
        return {key_of(whose): self._encoded(whose, at) for whose in self._changed}

    def _encoded(self, whose: Whose, at: datetime) -> bytes:
        use = self._uses[whose]
        use.forget(at.timestamp())
        return encoded(use)

    def _use(self, whose: Whose) -> Use | None:
        use = self._uses.get(whose)
        if use is None:
            if len(self._uses) >= _MOST or any("/" in part for part in whose):
                return None
            use = self._uses[whose] = Use()
        self._changed.add(whose)
        return use

    def _fill(self, resource: str, series: Iterable[Series], places: Places) -> None:
        for one in series:
            namespace, pod = one.labels.get("namespace", ""), one.labels.get("pod", "")
            labels = pod_labels(namespace, pod, places)
            use = self._uses.get(Whose(namespace, labels["workload"], resource)) if labels else None
            day = use.days.get(pod) if use else None
            if day is not None:
                # The value at the end of an hour is the mean of that hour.
                for at, value in one.points:
                    day.fill(value, (at - _HALF_HOUR).timestamp())

    def _ratios(self, at: datetime, places: Places) -> Iterator[Sample]:
        at_s = at.timestamp()
        for whose, use in self._uses.items():
            for pod, day in use.days.items():
                view = places.pod(whose.namespace, pod)
                asked = view.requests.get(whose.resource) if view else None
                labels = pod_labels(whose.namespace, pod, places)
                mean = day.mean(at_s) if asked and day.known(at_s) >= _ENOUGH_HOURS else None
                if asked and labels and mean is not None:
                    told = {**labels, "resource": whose.resource}
                    ratio = asked / max(mean, _LEAST[whose.resource])
                    yield Sample("pod_request_to_use_ratio", told, ratio)


def _is_over(use: Use, at: datetime) -> bool:
    return use.spread.last_s < (at - _FORGET).timestamp()
