"""Pages of dcgm-exporter, read without a Prometheus between."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from engine.metrics.endpoint import Endpoint
from engine.metrics.exposition import Page, scrape, target
from engine.model.errors import MetricsError
from engine.model.series import Series
from watchers.gpu_series import NAMES

LOG = structlog.get_logger()


class Endpoints:
    """The exporters of one cluster; use from one event loop, `aclose` when done."""

    def __init__(self, urls: Sequence[str], *, token_file: str | None, ca_file: str | None) -> None:
        """Take the URLs of their pages; the token is sent to each."""
        self._targets = [target(url, token_file=token_file, ca_file=ca_file) for url in urls]
        self._said: dict[str, str] = {}

    async def read(self, at: datetime) -> list[Series]:
        """Return what those exporters show that can be read, with `instance`: host and port.

        One of many that cannot be read is a gap; it is said once in the log.

        Raises:
            MetricsError: that of the first one, where none of them can be read.
        """
        answers = await asyncio.gather(*(_read(one, at) for one in self._targets))
        errors = [one for one in answers if isinstance(one, MetricsError)]
        if errors and len(errors) == len(answers):
            raise errors[0]
        found: list[Series] = []
        for endpoint, answer in zip(self._targets, answers, strict=True):
            self._say(endpoint.host, answer)
            if isinstance(answer, Page):
                where = {"instance": endpoint.host}
                found += (replace(s, labels={**s.labels, **where}) for s in answer.series)
        return found

    async def aclose(self) -> None:
        """Close all connections."""
        for one in self._targets:
            await one.aclose()

    def _say(self, host: str, answer: Page | MetricsError) -> None:
        fault = answer.broken if isinstance(answer, Page) else f"{answer.reason}: {answer}"
        if fault and self._said.get(host, "") != fault:
            LOG.warning("an exporter of GPUs can not be read", host=host, fault=fault)
        self._said[host] = fault


async def _read(endpoint: Endpoint, at: datetime) -> Page | MetricsError:
    try:
        return await scrape(endpoint, at, NAMES.__contains__)
    except MetricsError as error:
        return error
