"""Records: what is good comes through whatever stands beside it, what is bad keeps its bytes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bus.codec import RECORD_LIMIT, Damaged, batches, decode, encode
from engine.bus.element import Reason
from engine.bus.split import MAX_ELEMENTS
from engine.model.instant import from_us
from engine.model.signal import Signal

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
GOOD = '{"id":"good","source":"s","type":"k8s.event","time":"2026-01-31T12:00:00Z"}'
HEAD = '"id":"a","source":"s","type":"t","time":"2026-01-31T12:00:00Z"'


def a_signal(name: str = "a", **fields: Any) -> Signal:
    return Signal(**{"id": name, "source": "s", "type": "k8s.event", "time": NOON, **fields})


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":' * levels + inner + "}" * levels


BAD = [
    ('{"id":"\xff"}'.encode("latin-1"), Reason.BAD_UTF8),
    (b'{"id": NaN}', Reason.NOT_A_NUMBER),
    (b'{"id": -Infinity}', Reason.NOT_A_NUMBER),
    (b'{"id": "a" "b"}', Reason.BAD_JSON),
    (b"", Reason.BAD_JSON),
    (b"tru", Reason.BAD_JSON),
    (b"17", Reason.NOT_AN_EVENT),
    (b"[1]", Reason.NOT_AN_EVENT),
    (b"null", Reason.NOT_AN_EVENT),
    (b"{}", Reason.MISSING_ATTRIBUTE),
    (b'{"id":"a","source":"s","type":"t"}', Reason.MISSING_ATTRIBUTE),
    (f'{{{HEAD},"id":"b"}}'.encode(), Reason.DUPLICATE_KEY),
    (f'{{{HEAD},"data":{{"x":{{"k":1,"k":1}}}}}}'.encode(), Reason.DUPLICATE_KEY),
    (f'{{{HEAD},"data":{{"n":{"9" * 400}}}}}'.encode(), Reason.NUMBER_RANGE),
    (f'{{{HEAD},"data":{{"n":18446744073709551616}}}}'.encode(), Reason.NUMBER_RANGE),
    (f'{{{HEAD},"data":{{"n":1e999}}}}'.encode(), Reason.NUMBER_RANGE),
    (f'{{{HEAD},"data":{nested(64)}}}'.encode(), Reason.TOO_DEEP),
    (f'{{{HEAD},"data":{nested(10_000)}}}'.encode(), Reason.TOO_DEEP),
    (f'{{{HEAD},"data":{{"x":"{"y" * (1 << 20)}"}}}}'.encode(), Reason.TOO_LARGE),
    (f'{{{HEAD},"specversion":"0.3"}}'.encode(), Reason.SPECVERSION),
    (f'{{{HEAD},"specversion":1}}'.encode(), Reason.SPECVERSION),
    (f'{{{HEAD},"data":[1]}}'.encode(), Reason.BAD_DATA),
    (f'{{{HEAD},"data":null}}'.encode(), Reason.BAD_DATA),
    (f'{{{HEAD},"data_base64":"AA=="}}'.encode(), Reason.BAD_DATA),
    (f'{{{HEAD},"cluster":7}}'.encode(), Reason.BAD_ATTRIBUTE),
    (f'{{{HEAD},"subject":"\\u0000"}}'.encode(), Reason.BAD_ATTRIBUTE),
    (GOOD.replace("good", "").encode(), Reason.BAD_ATTRIBUTE),
    (GOOD.replace("k8s.event", "").encode(), Reason.BAD_ATTRIBUTE),
    (GOOD.replace('"s"', '""').encode(), Reason.BAD_ATTRIBUTE),
    (GOOD.replace('"s"', '"\\ud800"').encode(), Reason.BAD_ATTRIBUTE),
    (GOOD.replace(":00Z", ":00").encode(), Reason.BAD_TIME),
    (GOOD.replace("2026", "9999").encode(), Reason.BAD_TIME),
    (GOOD.replace("2026", "1969").encode(), Reason.BAD_TIME),
    (GOOD.replace("12:00:00Z", "25:00:00Z").encode(), Reason.BAD_TIME),
    (GOOD.replace('"2026-01-31T12:00:00Z"', "1769860800").encode(), Reason.BAD_TIME),
]


@pytest.mark.parametrize(("raw", "reason"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_element_costs_only_itself_and_keeps_its_bytes(raw: bytes, reason: Reason) -> None:
    decoded = decode(b"[" + GOOD.encode() + b"," + raw + b", " + GOOD.encode() + b"]")
    assert [signal.id for signal in decoded.signals] == ["good", "good"]
    assert [(bad.reason, bad.raw) for bad in decoded.bad] == [(reason, raw)]
    assert decoded.bad[0].detail


@pytest.mark.parametrize("record", [b"", b"7", b'"x"', b"\x00\xff", b"nul", b"]"])
def test_what_is_no_array_is_one_bad_element(record: bytes) -> None:
    decoded = decode(record)
    assert [(bad.reason, bad.raw) for bad in decoded.bad] == [(Reason.NOT_A_BATCH, record)]


@pytest.mark.parametrize("record", [b"[]", b" [ ]\n"])
def test_an_empty_batch_holds_nothing(record: bytes) -> None:
    decoded = decode(record)
    assert (decoded.signals, decoded.bad) == ([], [])


def test_a_lone_event_counts_as_a_batch_of_one() -> None:
    assert [signal.id for signal in decode(GOOD.encode()).signals] == ["good"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (GOOD.encode() + b"," + GOOD.encode(), Reason.BAD_JSON),
        (GOOD.encode() + b" " + GOOD.encode(), Reason.BAD_JSON),
        (GOOD.encode()[:-9], Reason.TRUNCATED),
        (GOOD.encode()[:-1], Reason.TRUNCATED),
        (GOOD.encode().replace(b"k8s", b"\xff"), Reason.BAD_UTF8),
        (GOOD.encode().replace(b"id", b"di"), Reason.MISSING_ATTRIBUTE),
    ],
)
def test_a_lone_event_that_is_none_keeps_its_bytes(record: bytes, reason: Reason) -> None:
    decoded = decode(record)
    assert (decoded.signals, [(bad.reason, bad.raw) for bad in decoded.bad]) == (
        [],
        [(reason, record)],
    )


def test_a_record_that_is_cut_off_gives_what_was_whole() -> None:
    whole = f"[{GOOD},{GOOD}]".encode()
    decoded = decode(whole[:-20])
    assert [signal.id for signal in decoded.signals] == ["good"]
    assert [bad.reason for bad in decoded.bad] == [Reason.TRUNCATED]
    assert whole[:-20].endswith(decoded.bad[0].raw)


def test_bytes_after_the_array_are_kept_as_bad() -> None:
    decoded = decode(f"[{GOOD}] tail".encode())
    assert [signal.id for signal in decoded.signals] == ["good"]
    assert [(bad.reason, bad.raw) for bad in decoded.bad] == [(Reason.BAD_JSON, b"tail")]


def test_a_record_over_the_limit_is_kept_whole() -> None:
    record = b"[" + b" " * RECORD_LIMIT + b"]"
    assert [(bad.reason, bad.raw) for bad in decode(record).bad] == [(Reason.TOO_LARGE, record)]


def test_in_a_record_of_many_bytes_only_the_element_over_the_limit_is_bad() -> None:
    fits, beyond = (a_signal(str(n), data={"x": "y" * n}) for n in (900_000, 1 << 20))
    decoded = decode(encode([fits, fits]))
    assert (decoded.signals, decoded.bad) == ([fits, fits], [])
    decoded = decode(encode([fits, beyond, fits]))
    assert decoded.signals == [fits, fits]
    assert [bad.reason for bad in decoded.bad] == [Reason.TOO_LARGE]


def test_a_damaged_record_is_never_believed() -> None:
    record = Damaged(f"[{GOOD}]".encode())
    decoded = decode(record)
    assert (decoded.signals, [bad.reason for bad in decoded.bad]) == ([], [Reason.DAMAGED])


def test_a_flood_of_empty_elements_is_bounded() -> None:
    decoded = decode(b"[" + b"," * 3_000_000 + b"]")
    assert len(decoded.bad) == MAX_ELEMENTS + 1
    assert decoded.bad[-1].reason == Reason.TOO_LARGE


@pytest.mark.timeout(20)
def test_unclosed_texts_take_linear_time() -> None:
    decoded = decode(b'[{"id":"' + b'\\"' * 2_000_000)
    assert [bad.reason for bad in decoded.bad] == [Reason.TRUNCATED]


def test_depth_is_counted_past_brackets_within_texts() -> None:
    hidden = "1"
    for _ in range(64):
        hidden = '{"}":' + hidden + ',"z":"{"}'
    decoded = decode(f'[{{{HEAD},"data":{hidden}}}]'.encode())
    assert [bad.reason for bad in decoded.bad] == [Reason.TOO_DEEP]


def test_the_deepest_allowed_event_passes_in_every_spelling() -> None:
    event = f'{{{HEAD},"data":{nested(63)}}}'
    for record in (f"[{event}]", f"[ {event} ]"):
        assert decode(record.encode()).bad == []


def test_an_unknown_extension_is_dropped_and_a_known_version_accepted() -> None:
    decoded = decode(f'[{{{HEAD},"specversion":"1.0","traceparent":"x"}}]'.encode())
    assert decoded.signals == [a_signal(type="t")]


def test_large_numbers_of_64_bits_pass() -> None:
    data = {"max": 2**64 - 1, "min": -(2**63), "ns": 1769860800123456789, "half": 0.5}
    assert decode(encode([a_signal(data=data)])).signals == [a_signal(data=data)]


def test_a_missing_attribute_names_its_nearest_spelling() -> None:
    bad = decode(GOOD.replace('"time"', '"tme"').encode()).bad[0]
    assert bad.detail == "attribute 'time' is missing; did you mean 'tme'?"


def test_encoding_names_the_signal_that_has_no_json_form() -> None:
    with pytest.raises(ValueError, match="signal 'odd' has no JSON form"):
        encode([a_signal(), a_signal("odd", data={"x": {1j}})])


def test_batches_hold_one_cluster_in_order_within_the_limits() -> None:
    signals = [a_signal(str(n), cluster="ab"[n % 2], data={"x": "y" * 9000}) for n in range(1500)]
    found = [(cluster, record) for cluster, record in batches(signals)]
    assert all(len(record) <= RECORD_LIMIT for _, record in found)
    for cluster in "ab":
        ids = [s.id for own, record in found if own == cluster for s in decode(record).signals]
        assert ids == [s.id for s in signals if s.cluster == cluster]
    assert max(len(decode(record).signals) for _, record in found) <= 500


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
zones = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
signals = st.builds(
    Signal,
    id=words,
    source=words,
    type=words,
    time=st.builds(
        lambda us, zone: from_us(us).astimezone(zone), st.integers(10**14, 2 * 10**17), zones
    ),
    cluster=st.just("") | words,
    subject=st.none() | words,
    data=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8), json_values, max_size=4
    ),
)


@settings(deadline=None)
@given(st.lists(signals, max_size=5))
def test_what_was_encoded_comes_back_in_every_spelling(batch: list[Signal]) -> None:
    record = encode(batch)
    loose = msgspec.json.format(record, indent=2)
    assert decode(record).signals == decode(loose).signals == batch
    assert decode(record).bad + decode(loose).bad == []


@settings(deadline=None)
@given(st.lists(signals, min_size=1, max_size=3), st.data())
def test_no_record_however_mangled_raises_or_invents(
    batch: list[Signal], data: st.DataObject
) -> None:
    record = bytearray(encode(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(record) - 1))
        cut = data.draw(st.integers(0, 3))
        record[at : at + cut] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"}"])
        )
        if not record:
            break
    decoded = decode(bytes(record))
    for signal in decoded.signals:
        assert signal.id
        assert signal.time.tzinfo is not None
        assert json.loads(encode([signal]))
    assert all(bad.raw in bytes(record) or bad.raw == bytes(record) for bad in decoded.bad)


@pytest.mark.parametrize(
    "double",
    [
        '"k":1,"k":2',
        '"k" :1,"k":2',
        '"k":1,"k"\n:2',
        r'"k":"\":","k":2',
        r'"k":1,"k":"\u0022:"',
        r'"k":1,"k":"\"\u003a"',
        r'"k":1,"\u006b":2',
    ],
)
@pytest.mark.parametrize("space", ["", " "])
def test_a_doubled_key_is_found_however_it_is_spelled(double: str, space: str) -> None:
    event = f'{{{HEAD},{space}"specversion":"1.0","data":{{{double}}}}}'
    assert [bad.reason for bad in decode(event.encode()).bad] == [Reason.DUPLICATE_KEY]


@settings(deadline=None)
@given(st.lists(signals, min_size=1, max_size=3), st.data())
def test_a_doubled_key_is_found_in_any_event(batch: list[Signal], data: st.DataObject) -> None:
    events = [{"specversion": "1.0", **msgspec.to_builtins(one)} for one in batch]
    spot = data.draw(st.integers(0, len(batch) - 1))
    loose = data.draw(st.booleans())
    texts = [json.dumps(event, separators=None if loose else (",", ":")) for event in events]
    texts[spot] = texts[spot][:-1] + ',"cluster":"twice","cluster":"twice"}'
    decoded = decode(f"[{','.join(texts)}]".encode())
    assert [bad.reason for bad in decoded.bad] == [Reason.DUPLICATE_KEY]
    assert decoded.signals == [one for at, one in enumerate(batch) if at != spot]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_without_raising(record: bytes) -> None:
    decoded = decode(record)
    assert decoded.signals or decoded.bad or not record.strip(b" \t\r\n[]")
