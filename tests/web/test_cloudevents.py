"""Each HTTP form of CloudEvents becomes one JSON array; anything else is refused."""

import json

import pytest

from engine.model.cloudevents import BadData, BadRequest, to_batch

EVENT = b'{"id": "1", "source": "t", "type": "alert", "time": "2026-01-01T00:00:00Z"}'


def test_a_batch_is_taken_as_it_is() -> None:
    headers = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    assert to_batch(headers, b"[1]") == b"[1]"


def test_a_structured_event_is_taken_as_it_is() -> None:
    headers = {"content-type": "application/cloudevents+json"}
    assert json.loads(to_batch(headers, EVENT))["id"] == "1"


def test_a_binary_event_is_put_together_from_its_headers() -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "7",
        "ce-cluster": "c%C3%A9",
    }
    assert json.loads(to_batch(headers, b'{"a": 1}')) == {
        "specversion": "1.0",
        "id": "7",
        "cluster": "cé",
        "data": {"a": 1},
    }


def test_a_binary_event_without_data_has_an_empty_one() -> None:
    assert json.loads(to_batch({"ce-specversion": "1.0"}, b""))["data"] == {}


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/plain"}, {}, {"ce-specversion": "1.0", "content-type": "text/xml"}],
)
def test_other_content_is_refused_with_415(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        to_batch(headers, EVENT)
    assert refused.value.status == 415


@pytest.mark.parametrize(
    "body",
    [
        b'1, "cluster": "x"',
        b'{"a": 1}, "id": "2"',
        b'{}} , {"id": "2"',
        b'{"a": 1',
        b"NaN",
        b" ",
        b"[" * 100_000,
    ],
    ids=lambda body: body[:20].decode(),
)
def test_a_body_of_a_binary_event_is_one_json_value(body: bytes) -> None:
    with pytest.raises(BadData, match="data of a binary event"):
        to_batch({"ce-specversion": "1.0", "ce-cluster": "a"}, body)
