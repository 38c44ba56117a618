"""Questions to the Prometheus of a cluster: which, and what becomes of the answers."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from engine.model.config import Config
from engine.model.errors import MetricsError
from engine.model.ports import Metrics
from engine.model.series import Series
from watchers.aside import aside
from watchers.metric_facts import PodUse, Sample, shipped_samples
from watchers.metric_queries import Shipped
from watchers.placing import Places

Name = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
_AGAIN: Final = timedelta(minutes=5)
"""When to ask again for what gave nothing: the exporter is not there, or not yet."""
_ALIVE: Final = "vector(1)"
"""Asked where nothing else is: whether the server answers."""
_AT_ONCE: Final = 4
_MOST_SERIES: Final = 50_000
_HOPELESS: Final = frozenset({"unreachable", "timeout", "unauthorized", "unavailable", "throttled"})


class QueryConfig(Config):
    """A query of the user's own: `expr` is PromQL, its series become the metric `name`.

    `unit` is told with each value. `labels` are those to keep, all where it is not given; where
    two series then have the same ones, neither is told.
    """

    name: Name
    expr: Annotated[str, Field(min_length=1, max_length=16384)]
    unit: str = ""
    labels: tuple[str, ...] | None = None


class Asked:
    """What one round of questions gave.

    Attributes:
        samples: of all metrics, with the labels that they are told with.
        amounts: use in cores or bytes, by resource, with the labels of pods.
        given: shipped metrics of which there was a series.
        faults: by metric why a question had no whole answer.
        asked: how many questions there were.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.amounts: dict[str, list[Sample]] = {}
        self.given: set[str] = set()
        self.faults: dict[str, MetricsError] = {}
        self.asked = 0

    @property
    def hopeless(self) -> bool:
        """Whether a question failed so that the next would too."""
        return any(one.reason in _HOPELESS and not one.partial for one in self.faults.values())

    @property
    def fault(self) -> str:
        """The first of the faults as `Looked.faults` holds it, empty without any."""
        for metric, error in self.faults.items():
            more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
            return f"{error.reason}: {metric}: {error}{more}"
        return ""


class Asking:
    """Asks a Prometheus once for each metric; remembers which expressions give something."""

    def __init__(
        self, metrics: Metrics, shipped: Mapping[str, Shipped], queries: Sequence[QueryConfig]
    ) -> None:
        self._metrics = metrics
        own = {query.name for query in queries}
        self._shipped = {name: one for name, one in shipped.items() if name not in own}
        self._queries = queries
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._chosen: dict[str, int] = {}
        self._later: dict[str, datetime] = {}

    async def ask(self, at: datetime, places: Places) -> Asked:
        """Return what all questions give at the instant `at`; never raises for a sick server."""
        asked = Asked()
        questions = [
            *(self._ask_shipped(name, at, places, asked) for name in self._shipped),
            *(self._ask_own(query, at, asked) for query in self._queries),
        ]
        await asyncio.gather(*questions)
        if not asked.asked:
            await self._series(_ALIVE, _ALIVE, at, asked)
        return asked

    async def _ask_shipped(self, name: str, at: datetime, places: Places, asked: Asked) -> None:
        shipped = self._shipped[name]
        for number in self._order(name, at):
            series = await self._series(name, shipped.expressions[number], at, asked)
            if series:
                self._chosen[name] = number
                asked.given.add(name)
                told = await aside(partial(_told, name, shipped, series, places), len(series))
                asked.samples += told.samples
                asked.amounts |= told.amounts
            if series or name in asked.faults or asked.hopeless:
                self._later.pop(name, None)
                return

    def _order(self, name: str, at: datetime) -> list[int]:
        """Return which expressions to try: what gave something last, from time to time others."""
        chosen = self._chosen.get(name)
        order = [] if chosen is None else [chosen]
        if self._later.get(name, at) <= at:
            self._later[name] = at + _AGAIN
            order += [n for n in range(len(self._shipped[name].expressions)) if n != chosen]
        return order

    async def _ask_own(self, query: QueryConfig, at: datetime, asked: Asked) -> None:
        for one in await self._series(query.name, query.expr, at, asked):
            kept = one.labels
            if query.labels is not None:
                kept = {name: kept[name] for name in query.labels if name in kept}
            asked.samples.append(Sample(query.name, kept, one.points[-1].value, query.unit))

    async def _series(
        self, metric: str, expression: str, at: datetime, asked: Asked
    ) -> Sequence[Series]:
        async with self._turns:
            if asked.hopeless:
                return ()
            try:
                asked.asked += 1
                series: Sequence[Series] = await self._metrics.query(expression, at)
            except MetricsError as error:
                asked.faults[metric] = error
                series = error.partial
        if len(series) > _MOST_SERIES:
            asked.faults[metric] = MetricsError(
                "too-large", f"{len(series)} series; allowed: {_MOST_SERIES}"
            )
            return ()
        return series


class _Told(NamedTuple):
    """What the series of one shipped expression say."""

    samples: list[Sample]
    amounts: dict[str, list[Sample]]


def _told(name: str, shipped: Shipped, series: Sequence[Series], places: Places) -> _Told:
    if shipped.about != "pod":
        return _Told(shipped_samples(name, shipped, series, places), {})
    use = PodUse(shipped.resource, places)
    use.take(series)
    return _Told(list(use.ratios()), {shipped.resource: use.amounts})
