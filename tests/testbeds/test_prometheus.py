"""The Prometheus of the tests scrapes what it is told to, and knows its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testbeds.prometheus import Exporter, Prometheus

pytestmark = pytest.mark.real


def test_a_page_is_scraped_and_a_series_that_left_it_is_stale(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = 'busy{node="n1"} 7\nbusy{node="n2"} 8\n'
    found = prometheus.until(f"{exporter.one('busy')} == 8")
    assert found == [({**found[0][0], "node": "n2", **exporter.match}, 8.0)]
    exporter.page = 'busy{node="n1"} 7\n'
    prometheus.until(f"absent({exporter.one('busy', node='n2')})")
    assert [value for _, value in prometheus.query(exporter.one("busy"))] == [7.0]


def test_a_server_with_a_history_answers_for_the_past(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    history = "# TYPE use gauge\nuse 1 1767225600\nuse 3 1767225660\n# EOF\n"
    server = prometheus_with(history)
    assert server.query("max_over_time(use[5m] @ 1767225700)") == [({}, 3.0)]
