"""The registry of receivers: types, options, and that no body breaks any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.bus.codec import decode, encode
from tests.watchers.posting import HOSTILE, received
from watchers.receiving import kinds, make

TYPES = ["alertmanager", "audit", "cloudevents", "console-alert"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["version", "alerts", "labels", "status", "alert", "kind", "apiVersion", "items", "auditID",
     "stage", "user", "objectRef", "id", "source", "type", "time", "truncatedAlerts", "startsAt"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["4", "firing", "resolved", "audit.k8s.io/v1", "EventList", "ResponseComplete", "", "\0", "a/b"]
)
NEARLY = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize("type_", kinds())
def test_every_receiver_says_what_it_takes_and_where_that_is_described(type_: str) -> None:
    kind = kinds()[type_]
    assert kind.name == type_
    assert len(kind.summary) > 20
    assert "Source:" in (kind.receive.__doc__ or "")


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean 'alertmanager'"):
        make("x", "alertmanger", {"token_file": "t"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs one of token_file, basic_file, secret_file; given: none"),
        ({"token_file": "t", "secret_file": "s"}, "given: token_file and secret_file"),
        ({"token_file": "t", "cluster": "a", "clusters": ["b"]}, "is none of clusters"),
        ({"token_file": "t", "token": "hunter2"}, "Extra inputs are not permitted"),
    ],
)
def test_a_receiver_needs_one_secret_and_repeats_none(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make("x", "alertmanager", given)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: body[:12].decode("latin-1"))
async def test_a_hostile_body_is_refused_with_a_reason_and_makes_no_signal(
    type_: str, body: bytes
) -> None:
    headers = {"content-type": "application/json", "ce-specversion": "1.0"}
    got = await received(type_, body, headers, cluster="c1")
    assert got.signals == []
    assert [len(one.detail) < 400 for one in got.refused] == [True] * len(got.refused)
    if type_ != "cloudevents":  # the door judges those
        assert [one.reason in {"bad-json", "bad-form"} for one in got.refused] == [True]


@pytest.mark.parametrize("type_", TYPES)
@given(body=NEARLY)
async def test_no_json_breaks_a_receiver_and_what_comes_of_it_can_be_written(
    type_: str, body: object
) -> None:
    got = await received(type_, body, {"content-type": "application/json"}, cluster="c1")
    assert decode(encode(got.signals)).signals == got.signals


@pytest.mark.parametrize("type_", TYPES)
@given(body=st.binary(max_size=300))
async def test_no_bytes_break_a_receiver(type_: str, body: bytes) -> None:
    got = await received(type_, body, {"content-type": "application/cloudevents+json"}, cluster="c")
    assert got.signals == []
