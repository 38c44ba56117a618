"""What a Prometheus answers is taken as it is, or refused: nothing is invented."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.answer import series_of
from engine.model.errors import MetricsError
from engine.model.series import Point, Series

AT = 1767225600
WHEN = datetime.fromtimestamp(AT, UTC)


def body(result: Any, type_: str = "vector", **more: Any) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": type_, "result": result}, **more}
    ).encode()


def a_series(value: Any, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [AT, value]}


def refused(data: bytes, status: int = 200) -> str:
    with pytest.raises(MetricsError) as caught:
        series_of(data, status)
    return caught.value.reason


def test_a_vector_is_one_point_of_each_series() -> None:
    found = series_of(body([a_series("1.5", __name__="up", job="a"), a_series("2")]))
    point = Point(WHEN, 1.5)
    assert found == [Series("up", {"job": "a"}, (point,)), Series("", {}, (Point(WHEN, 2.0),))]


def test_a_matrix_is_all_points_and_a_scalar_is_a_series_without_labels() -> None:
    values = [[AT, "1"], [AT + 60, "NaN"], [AT + 120, "3"]]
    (series,) = series_of(body([{"metric": {"a": "b"}, "values": values}], "matrix"))
    assert [point.value for point in series.points] == [1.0, 3.0]
    assert series_of(body([AT, "7"], "scalar")) == [Series("", {}, (Point(WHEN, 7.0),))]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "inf", "1e999"])
def test_what_is_no_number_is_a_gap(value: str) -> None:
    assert series_of(body([a_series(value)])) == []


def test_a_native_histogram_is_no_number() -> None:
    assert series_of(body([{"metric": {}, "histogram": [AT, {"count": "4"}]}])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"status":"success"',
        body([AT, "x"], "string"),
        body([a_series("x")]),
        body([a_series(1.5)]),
        body([{"metric": {"a": 1}, "value": [AT, "1"]}]),
        body([{"metric": {}, "value": [1e300, "1"]}]),
        body([{"metric": {}, "value": [None, "1"]}]),
        body([{"metric": {}, "values": [[AT, "1"], [AT, "2"]]}], "matrix"),
        body([{"metric": {}, "values": [[AT + 1, "1"], [AT, "2"]]}], "matrix"),
        body([a_series("1", a="x" * 5000)]),
        body([a_series("1", **{f"l{n}": "x" for n in range(101)})]),
        body({"a": 1}),
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"\xff"}}]}}',
    ],
)
def test_what_no_prometheus_answers_is_malformed(data: bytes) -> None:
    assert refused(data) == "malformed"


@pytest.mark.parametrize(
    ("type_", "status", "reason"),
    [
        ("bad_data", 400, "refused"),
        ("execution", 422, "refused"),
        ("timeout", 503, "timeout"),
        ("canceled", 503, "timeout"),
        ("unavailable", 503, "unavailable"),
        ("internal", 500, "unavailable"),
        ("new one", 400, "refused"),
        ("new one", 500, "unavailable"),
    ],
)
def test_an_error_of_the_server_keeps_its_kind(type_: str, status: int, reason: str) -> None:
    data = json.dumps({"status": "error", "errorType": type_, "error": "no\nway"}).encode()
    assert refused(data, status) == reason


def test_an_answer_that_is_not_whole_is_told_with_what_came() -> None:
    with pytest.raises(MetricsError, match="partial: store eu-2 is down") as caught:
        series_of(body([a_series("1")], warnings=["store eu-2 is down"]))
    assert (caught.value.reason, len(caught.value.partial)) == ("unavailable", 1)


def test_a_remark_on_the_expression_says_nothing_of_what_is_missing() -> None:
    remark = "PromQL warning: bucket label le is missing or has a malformed value"
    assert len(series_of(body([a_series("1")], warnings=[remark]))) == 1


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_answer_or_a_reason(data: bytes) -> None:
    with pytest.raises(MetricsError) as caught:
        series_of(data)
    assert caught.value.reason in {"malformed", "refused"}
