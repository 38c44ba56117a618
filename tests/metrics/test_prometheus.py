"""A real Prometheus is asked: values, gaps, errors, and how long is waited for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from engine.metrics.prometheus import prometheus
from engine.metrics.settings import PrometheusConfig
from engine.model.errors import MetricsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.series import Series
    from tests.testbeds.prometheus import Exporter, Prometheus

pytestmark = pytest.mark.real
PAST = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = """\
# TYPE use gauge
use{cluster="eu",node="n1"} 1 1767225600
use{cluster="eu",node="n1"} 2 1767225660
use{cluster="eu",node="n1"} NaN 1767225720
use{cluster="us",node="n1"} 7 1767225600
# EOF
"""


async def ask(server: Prometheus, expression: str, at: datetime, **options: object) -> list[Series]:
    config = PrometheusConfig.model_validate({"url": server.url, **options})
    async with prometheus(config) as metrics:
        return await metrics.query(expression, at)


async def refused(server: Prometheus, expression: str, **options: object) -> MetricsError:
    with pytest.raises(MetricsError) as caught:
        await ask(server, expression, PAST, **options)
    return caught.value


async def test_values_times_gaps_and_ranges_of_a_real_server(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    server = prometheus_with(HISTORY)
    both = await ask(server, "sort(use)", PAST)
    assert [(one.name, one.labels["cluster"], one.points[0].value) for one in both] == [
        ("use", "eu", 1.0),
        ("use", "us", 7.0),
    ]
    assert both[0].points[0].at == PAST
    assert await ask(server, "use", PAST + timedelta(minutes=2), match={"cluster": "eu"}) == []
    assert await ask(server, "use", PAST + timedelta(hours=1)) == []
    config = PrometheusConfig(url=f"{server.url}/", match={"cluster": "eu"})
    async with prometheus(config) as metrics:
        (one,) = await metrics.range("use", PAST, PAST + timedelta(minutes=2), 30)
        assert [point.value for point in one.points] == [1, 1, 2, 2]
        assert await metrics.query("1 / 0", PAST) == []


async def test_an_expression_that_is_too_long_for_a_url_is_posted(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    longest = "sum(use" + " + use" * 500 + ")"
    (one,) = await ask(prometheus_with(HISTORY), longest, PAST)
    assert one.points[0].value == 501 * 8


async def test_what_the_server_refuses_is_told_as_that(prometheus: Prometheus) -> None:
    error = await refused(prometheus, "sum(")
    assert error.reason == "refused"
    assert "parse error" in str(error)
    assert (await refused(prometheus, "count_values('a-b', up)")).reason == "refused"


async def test_two_series_for_one_place_are_an_error_of_422(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = 'a{x="1"} 1\na{x="2"} 1\nb{x="1"} 1\n'
    prometheus.until(exporter.one("b"))
    now = datetime.now(UTC)
    with pytest.raises(MetricsError, match=r"many-to-many|duplicate") as caught:
        await ask(prometheus, "b * on () a", now, match=exporter.match)
    assert caught.value.reason == "refused"


async def test_a_series_that_left_the_page_is_a_gap_at_once(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = 'busy{node="n1"} 7\n'
    prometheus.until(exporter.one("busy"))
    assert len(await ask(prometheus, "busy", datetime.now(UTC), match=exporter.match)) == 1
    exporter.status = 500
    prometheus.until(f"absent({exporter.one('busy')})")
    assert await ask(prometheus, "busy", datetime.now(UTC), match=exporter.match) == []


async def test_a_server_that_is_down_is_unreachable_and_back_when_it_is(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    server = prometheus_with(HISTORY)
    async with prometheus(PrometheusConfig(url=server.url)) as metrics:
        assert len(await metrics.query("use", PAST)) == 2
        server.server.stop()
        with pytest.raises(MetricsError) as caught:
            await metrics.query("use", PAST)
        assert caught.value.reason == "unreachable"
        server.start()
        assert len(await metrics.query("use", PAST)) == 2
