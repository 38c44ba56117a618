"""The HTTP API of Prometheus, which Thanos, Mimir and VictoriaMetrics speak too."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Final

from engine.metrics.answer import series_of
from engine.metrics.endpoint import Access, Endpoint
from engine.metrics.matching import matching
from engine.metrics.settings import PrometheusConfig
from engine.model.errors import MetricsError
from engine.model.series import Series

_LONG: Final = 1500
"""Characters of an expression that does not fit every proxy's idea of a URL: it is posted."""
_SMALL: Final = 256 << 10
"""Bytes of an answer that are not worth a thread."""


@asynccontextmanager
async def prometheus(config: PrometheusConfig) -> AsyncIterator["Prometheus"]:
    """Give the Prometheus of `config`, and close its connections in the end."""
    async with aclosing(Prometheus(config)) as opened:
        yield opened


class Prometheus:
    """Fulfils the port `Metrics`. Use from one event loop; `aclose` when done."""

    def __init__(self, config: PrometheusConfig) -> None:
        headers = {"X-Scope-OrgID": config.tenant} if config.tenant else {}
        access = Access(
            token_file=config.token_file,
            username=config.username,
            password_file=config.password_file,
            ca_file=config.ca_file,
            headers={**headers, "Accept": "application/json"},
            timeout_s=config.timeout_s,
        )
        self._endpoint = Endpoint(config.url, access)
        self._match = config.match
        # The server is to stop as well when nobody waits any more.
        self._limit = {"timeout": f"{config.timeout_s:g}s"}

    async def query(self, expression: str, at: datetime) -> list[Series]:
        """Return the value of each series of a PromQL expression at the instant `at`.

        Stale series, NaN and infinities are left out: a gap is a gap.

        Raises:
            MetricsError: its `partial` has what came of an answer that was not whole.
        """
        return await self._ask("query", expression, {"time": _seconds(at)})

    async def range(
        self, expression: str, start: datetime, end: datetime, step_s: float
    ) -> list[Series]:
        """Return the values of each series from `start` to `end`, every `step_s` seconds.

        Raises:
            MetricsError: as `query`.
        """
        span = {"start": _seconds(start), "end": _seconds(end), "step": f"{step_s:.3f}"}
        return await self._ask("query_range", expression, span)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._endpoint.aclose()

    async def _ask(self, verb: str, expression: str, when: Mapping[str, str]) -> list[Series]:
        asked = matching(expression, self._match)
        query = {"query": asked, **when, **self._limit}
        answer = await self._endpoint.ask(f"/api/v1/{verb}", query, form=len(asked) > _LONG)
        try:
            if len(answer.body) < _SMALL:
                return series_of(answer.body, answer.status)
            return await asyncio.to_thread(series_of, answer.body, answer.status)
        except MetricsError as error:
            where = f"{self._endpoint.host}: {error}"
            raise MetricsError(error.reason, where, partial=error.partial) from error


def _seconds(at: datetime) -> str:
    return f"{at.timestamp():.3f}"
