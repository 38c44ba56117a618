"""Pages of metrics: the text format of Prometheus, and OpenMetrics."""

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from functools import cache
from typing import Any, Final

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from engine.metrics.endpoint import Access, Answer, Endpoint
from engine.model.errors import MetricsError
from engine.model.series import Point, Series

Takes = Callable[[str], bool]
"""Whether the samples of a name are wanted; asked once for each name of a page."""
LIMIT_BYTES: Final = 32 << 20
MOST_SERIES: Final = 50_000
STALE: Final = timedelta(minutes=5)
"""A sample with an older time of its own is no news, as in Prometheus."""
_AHEAD: Final = timedelta(minutes=1)
_ACCEPT: Final = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5"
_OPENMETRICS: Final = "application/openmetrics-text"
_LONGEST_LINE: Final = 16 << 10
_AT_ONCE: Final = 500
_OK: Final = 200
_SERVER_ERROR: Final = 500
_SHOWN: Final = 100
_UNREADY: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What the parsers raise: some of what breaks the grammar they refuse, over some they stumble."""


@dataclass(frozen=True)
class Page:
    """What a page holds of what was wanted: series of one point each.

    `broken` says what of it could not be read, one sentence; empty: nothing.
    """

    series: list[Series]
    broken: str = ""


@cache
def taking(globs: tuple[str, ...]) -> Takes:
    """Return what takes the names that any of `globs` matches, case and all."""
    pattern = re.compile("|".join(map(translate, globs)) or r"(?!)")
    return lambda name: pattern.match(name) is not None


def target(
    url: str, *, token_file: str | None = None, ca_file: str | None = None, timeout_s: float = 10.0
) -> Endpoint:
    """Return the endpoint `url` as `scrape` asks it; close it when done."""
    access = Access(
        token_file=token_file,
        ca_file=ca_file,
        headers={"Accept": _ACCEPT},
        timeout_s=timeout_s,
        limit_bytes=LIMIT_BYTES,
    )
    return Endpoint(url, access)


async def scrape(endpoint: Endpoint, at: datetime, takes: Takes) -> Page:
    """Return what `endpoint` shows of the names that `takes` wants; parsed beside the loop.

    Raises:
        MetricsError: as Endpoint.ask; a page of more than 32 MiB or 50,000 wanted series is
            too-large, one of OpenMetrics that breaks its grammar malformed.
    """
    answer = await endpoint.ask()
    if answer.status != _OK:
        reason = "unavailable" if answer.status >= _SERVER_ERROR else "refused"
        raise MetricsError(reason, f"{endpoint.host}: HTTP {answer.status}")
    try:
        return await asyncio.to_thread(_read, answer, at, takes)
    except MetricsError as error:
        raise MetricsError(error.reason, f"{endpoint.host}: {error}") from error


def parse(text: str, at: datetime, takes: Takes) -> Page:
    """Return what a page in the text format holds of the names that `takes` wants. Pure.

    Lines that cannot be read are left out and told of, as are series that stand there twice, NaN,
    infinities and samples with a time of their own that is older than five minutes.

    Args:
        text: the page; without a line feed at its end it was cut off, and its last line is left
            out.
        at: when it was read: the time of samples without one.
        takes: which names are wanted; all others cost next to nothing.

    Raises:
        MetricsError: too-large.
    """
    lines = text.split("\n")
    broken = [lines[-1]] if lines[-1].strip() else []
    wanted = list(_wanted(lines[:-1], cache(takes)))
    if len(wanted) > MOST_SERIES:
        raise MetricsError("too-large", f"{len(wanted)} series are wanted of it")
    samples: list[Any] = []
    for start in range(0, len(wanted), _AT_ONCE):
        samples += _samples(wanted[start : start + _AT_ONCE], broken)
    return _page(samples, at, broken)


def _read(answer: Answer, at: datetime, takes: Takes) -> Page:
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MetricsError("malformed", f"no UTF-8 at byte {error.start}") from error
    if not answer.content_type.startswith(_OPENMETRICS):
        return parse(text, at, takes)
    try:
        parsed = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        families = list(parsed)
    except _UNREADY as error:  # the grammar wants a page to be refused as a whole
        raise MetricsError("malformed", f"no OpenMetrics: {str(error)[:_SHOWN]}") from error
    wanted = [one for family in families for one in family.samples if takes(one.name)]
    if len(wanted) > MOST_SERIES:
        raise MetricsError("too-large", f"{len(wanted)} series are wanted of it")
    return _page(wanted, at, [])


def _wanted(lines: Iterable[str], takes: Takes) -> Iterator[str]:
    """Yield the lines of samples that are wanted; comments are none."""
    for line in lines:
        name = line.partition("{")[0].split(None, 1)
        if name and name[0][0] != "#" and takes(name[0]):
            yield line


def _samples(lines: Sequence[str], broken: list[str]) -> list[Any]:
    """Return the samples of `lines`; those that cannot be read are added to `broken`."""
    try:
        if max(map(len, lines)) <= _LONGEST_LINE:
            return _parsed("\n".join(lines))
    except _UNREADY:
        pass
    if len(lines) == 1:
        broken.append(lines[0])
        return []
    middle = len(lines) // 2
    return [*_samples(lines[:middle], broken), *_samples(lines[middle:], broken)]


def _parsed(text: str) -> list[Any]:
    families = text_string_to_metric_families(text)
    return [one for family in families for one in family.samples]


def _page(samples: Iterable[Any], at: datetime, broken: list[str]) -> Page:
    found: dict[tuple[str, frozenset[tuple[str, str]]], Series | None] = {}
    for sample in samples:
        key = sample.name, frozenset(sample.labels.items())
        if key in found:
            if found[key] is not None:
                broken.append(f"{sample.name}, which stands there twice")
            found[key] = None
        else:
            found[key] = _series(sample, at)
    return Page([one for one in found.values() if one is not None], _told(broken))


def _series(sample: Any, at: datetime) -> Series | None:
    if not math.isfinite(sample.value):
        return None
    try:
        value = float(sample.value)
        own = None if sample.timestamp is None else float(sample.timestamp)
        when = at if own is None else datetime.fromtimestamp(own, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if not at - STALE <= when <= at + _AHEAD:
        return None
    return Series(sample.name, dict(sample.labels), (Point(min(when, at), value),))


def _told(broken: Sequence[str]) -> str:
    if not broken:
        return ""
    first = " ".join(broken[0].split())[:_SHOWN]
    return f"{len(broken)} samples could not be read, the first: {first}"
