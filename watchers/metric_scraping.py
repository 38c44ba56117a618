"""Endpoints that are scraped directly, without a Prometheus."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime, timedelta
from types import TracebackType
from typing import Annotated, Final, Self

from pydantic import Field, PositiveFloat, field_validator

from engine.metrics.endpoint import Endpoint
from engine.metrics.exposition import Page, scrape, taking, target
from engine.metrics.history import Histories, rate
from engine.model.config import Config
from engine.model.errors import MetricsError
from watchers.metric_facts import Sample

_BAD: Final = frozenset({"unauthorized", "refused", "malformed", "too-large"})
"""Faults of a setting rather than of an endpoint that is down, which `up` tells."""
_MOST_RATES: Final = 50_000
_LOOKS: Final = 5
"""A rate is over the last so many looks."""
Glob = Annotated[str, Field(min_length=1, max_length=200)]


class ScrapeConfig(Config):
    """One endpoint of metrics, in the text format of Prometheus or OpenMetrics.

    `take` are names or globs of the samples to tell; of those that `rates` matches, which are
    counters, the growth per second is told as NAME_per_second. Each series gets `labels`, in place
    of those of the page with the same names, and host and port as `instance` where they do not
    say it.
    """

    url: str = Field(pattern=r"^https?://[^/\s@]+(/[^\s#]*)?$")
    take: tuple[Glob, ...] = Field(min_length=1)
    rates: tuple[Glob, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    token_file: str | None = None
    ca_file: str | None = None
    timeout_s: PositiveFloat = 10.0

    @field_validator("labels")
    @classmethod
    def _names(cls, labels: dict[str, str]) -> dict[str, str]:
        if wrong := [name for name in labels if not name.isidentifier() or not name.isascii()]:
            raise ValueError(f"a label is named as in Prometheus, not '{wrong[0]}'")
        return labels


class Scraping:
    """All endpoints of one cluster; use as an async context manager."""

    def __init__(self, configs: Sequence[ScrapeConfig], every_s: float) -> None:
        self._configs = configs
        self._window = timedelta(seconds=(_LOOKS + 0.5) * every_s)
        self._gap = timedelta(seconds=2.5 * every_s)
        self._counters = Histories(span=self._window, points=_LOOKS + 2, most=_MOST_RATES)
        self._endpoints: list[Endpoint] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for one in self._configs:
            endpoint = target(
                one.url, token_file=one.token_file, ca_file=one.ca_file, timeout_s=one.timeout_s
            )
            self._endpoints.append(await self._open.enter_async_context(aclosing(endpoint)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def scrape(self, at: datetime) -> tuple[list[Sample], str]:
        """Return what the endpoints show, `up` of each, and a fault.

        An endpoint that is down is told of by `up` alone. A fault is that one refuses or makes no
        sense, or that none can be read.
        """
        pairs = zip(self._configs, self._endpoints, strict=True)
        rounds = await asyncio.gather(*(self._one(*pair, at) for pair in pairs))
        samples = [sample for told, _ in rounds for sample in told]
        faults = [fault for _, fault in rounds if fault]
        bad = [one for one in faults if one.partition(":")[0] in _BAD]
        fault = bad[0] if bad else faults[0] if faults and len(faults) == len(rounds) else ""
        self._counters.prune(at)
        return samples, fault

    async def _one(
        self, config: ScrapeConfig, endpoint: Endpoint, at: datetime
    ) -> tuple[list[Sample], str]:
        own = {"instance": endpoint.host, **config.labels}
        try:
            page = await scrape(endpoint, at, taking((*config.take, *config.rates)))
        except MetricsError as error:
            return [Sample("up", own, 0.0)], f"{error.reason}: {error}"
        samples = list(self._samples(config, own, page))
        fault = f"malformed: {endpoint.host}: {page.broken}" if page.broken else ""
        return [*samples, Sample("up", own, 1.0)], fault

    def _samples(self, config: ScrapeConfig, own: dict[str, str], page: Page) -> Iterator[Sample]:
        takes, rates = taking(config.take), taking(config.rates)
        for series in page.series:
            told = Sample(series.name, {**series.labels, **own}, series.points[-1].value)
            if rates(series.name):
                key = told.subject
                self._counters.add(key, series.points[-1])
                window = self._counters.window(key, series.points[-1].at, self._window)
                grown = rate(window, self._gap)
                if grown is not None:
                    yield Sample(f"{series.name}_per_second", told.labels, grown, "1/s")
            elif takes(series.name):
                yield told
