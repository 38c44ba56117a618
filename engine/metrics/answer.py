"""What a Prometheus answers, as series. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from engine.model.errors import MetricsError
from engine.model.series import Point, Series

_SHOWN = 300
_MOST_LABELS: Final = 100
_LONGEST_LABEL: Final = 4096
_REFUSED: Final[Mapping[str, str]] = {
    "timeout": "timeout",
    "canceled": "timeout",
    "unavailable": "unavailable",
    "internal": "unavailable",
    "execution": "refused",
    "bad_data": "refused",
    "too_many_requests": "throttled",
}
_NOTES: Final = ("promql info", "promql warning")
"""How remarks about the expression begin, which say nothing of what is missing."""
_Value = tuple[float, Annotated[str, msgspec.Meta(max_length=64)]]


class _Item(msgspec.Struct):
    metric: dict[str, str] = {}
    value: _Value | None = None
    values: list[_Value] = []


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Body(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: list[str] = []


_BODY: Final = msgspec.json.Decoder(_Body)
_ITEMS: Final = msgspec.json.Decoder(list[_Item])
_VALUE: Final = msgspec.json.Decoder(_Value)


def series_of(body: bytes, status: int = 200) -> list[Series]:
    """Return the series of an answer of /api/v1/query or query_range.

    NaN, infinities and native histograms are left out, and series of which nothing is left.

    Args:
        body: the answer.
        status: of HTTP, for one that is no answer of a Prometheus.

    Raises:
        MetricsError: timeout, unavailable, refused (a wrong expression), throttled, malformed; of
            a Prometheus that answers for others and did not reach all of them: unavailable, and
            `partial` has what came.
    """
    try:
        answer = _BODY.decode(body)
        if answer.status != "success":
            reason = _REFUSED.get(answer.error_type, "unavailable" if status >= 500 else "refused")  # noqa: PLR2004
            raise MetricsError(reason, _said(answer.error or f"HTTP {status}"))
        found = list(_series(answer.data or _Data()))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError) as error:
        reason = "malformed" if status < 400 else "refused"  # noqa: PLR2004
        text = body[:_SHOWN].decode("utf-8", "replace")
        raise MetricsError(reason, _said(f"HTTP {status}, {error}: {text}")) from error
    missing = [one for one in answer.warnings if not one.lower().startswith(_NOTES)]
    if missing:
        why = _said(f"the answer is partial: {missing[0]}")
        raise MetricsError("unavailable", why, partial=found)
    return found


def _series(data: _Data) -> Iterator[Series]:
    if data.result_type == "scalar":
        yield from _one({}, [_VALUE.decode(data.result)])
    elif data.result_type in {"vector", "matrix"}:
        for item in _ITEMS.decode(data.result):
            values = item.values if item.value is None else [item.value]
            yield from _one(item.metric, values)
    else:
        raise ValueError(f"a result of type '{data.result_type[:50]}'; allowed: vector, matrix")


def _one(metric: dict[str, str], values: Sequence[_Value]) -> Iterator[Series]:
    if len(metric) > _MOST_LABELS or any(len(text) > _LONGEST_LABEL for text in metric.values()):
        raise ValueError(f"a series with more than {_MOST_LABELS} labels, or one that is too long")
    points = tuple(_points(values))
    if points:
        name = metric.pop("__name__", "")
        yield Series(name, metric, points)


def _points(values: Sequence[_Value]) -> Iterator[Point]:
    latest: Any = None
    for seconds, text in values:
        value = float(text)
        if not math.isfinite(value):
            continue
        at = datetime.fromtimestamp(seconds, UTC)
        if latest is not None and at <= latest:
            raise ValueError("the values of a series are not in order")
        latest = at
        yield Point(at, value)


def _said(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
