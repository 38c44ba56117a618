"""What expressions give, by topic. Each row is a promise of the language definition."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.rules.cel import EvaluationError, compile  # noqa: A004 (its name)

DATA = {
    "pod": {"name": "web-1", "restarts": 7, "ready": False, "cpu": 0.5, "node": None},
    "items": [1, 2.0, "x"],
    "nested": [{"a": 1}, {"b": 2}],
}


def value(source: str) -> Any:
    return compile(source).evaluate(DATA)


def code(source: str) -> str:
    with pytest.raises(EvaluationError) as caught:
        compile(source).evaluate(DATA)
    return caught.value.code


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("0x1F", 31),
        ("-0x8000000000000000", -(2**63)),
        ("18446744073709551615u", 2**64 - 1),
        (".5e1", 5.0),
        (r'"\a\b\f\n\r\t\v\\\?\"\'\`"', "\a\b\f\n\r\t\v\\?\"'`"),
        (r'"\x41\u00e9\U0001F600\101"', "A\u00e9\U0001f600A"),
        (r'r"\d"', r"\d"),
        ("'''it's\n\"two\" lines'''", 'it\'s\n"two" lines'),
        (r"b'\xff\303é'", b"\xff\xc3\xc3\xa9"),
        (r'br"\n"', b"\\n"),
        ("[1, 2,]", [1, 2]),
        ('{"a": 1u, 2: null}', {"a": 1, 2: None}),
        ("1 // a comment", 1),
    ],
)
def test_a_literal_has_its_value(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7u / 2u", 3),
        ("1.0 / 0.0", math.inf),
        ("-1.0 / 0.0", -math.inf),
        ("true ? 1 : 2", 1),
        ("false ? 1 : true ? 2 : 3", 2),
        ("1 < 2 == true", True),
        ("!true || true && false", False),
        ("- -1", 1),
        ("[1] + [2u]", [1, 2]),
        ('"a" + "b"', "ab"),
    ],
)
def test_operators_bind_and_count_as_defined(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "1 == 1.0 && 1u == 1 && 1.0 == 1u",
        "1 < 1.5 && 2u > 1 && -1 < 0u",
        "1 in [2.0, 1.0]",
        "{1: 2} == {1u: 2.0}",
        "{1: 'a'}[dyn(1.0)] == 'a'",
        "!(0.0 / 0.0 == 0.0 / 0.0) && 0.0 / 0.0 != 0.0 / 0.0",
        "!(0.0 / 0.0 < 1.0) && !(0.0 / 0.0 >= 1.0)",
        "dyn(true) != 1 && dyn(1) != true && !(dyn(true) in [1]) && !(dyn(true) in {1: 1})",
        "pod.ready != 0 && pod.restarts != true",
        "dyn('1') != 1 && dyn(null) != false",
        "false < true && 'a' < 'b' && b'a' < b'b'",
        "[1, [2.0]] == [1u, [2]] && [1] != [1, 2]",
        "type(1u) != type(1) && type(1.0) == double && type(type(1)) == type",
        "type(null) == null_type && type([]) == list && type({}) == map",
        "type(timestamp(0)) == google.protobuf.Timestamp",
        "dyn('int') != type(1)",
    ],
)
def test_equality_and_order_hold_over_the_number_types_and_nowhere_else(source: str) -> None:
    assert value(source) is True


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("1 / 0", "divide_by_zero"),
        ("1 % 0", "divide_by_zero"),
        ("9223372036854775807 + 1", "overflow"),
        ("-9223372036854775808 - 1", "overflow"),
        ("-(-9223372036854775808)", "overflow"),
        ("-9223372036854775808 / -1", "overflow"),
        ("0u - 1u", "overflow"),
        ("uint(-1)", "overflow"),
        ("int(1e19)", "overflow"),
        ("int(0.0 / 0.0)", "overflow"),
        ('int("ten")', "conversion"),
        (r'string(b"\xff")', "conversion"),
        ("dyn(1) + 1.0", "no_such_overload"),
        ("dyn('a') < 1", "no_such_overload"),
        ("!dyn(1)", "no_such_overload"),
        ("dyn(1) ? 2 : 3", "no_such_overload"),
        ("pod.name.first", "no_such_overload"),
        ("has(pod.name.first)", "no_such_overload"),
        ("items[3]", "index"),
        ("items[-1]", "index"),
        ('{"a": 1, "a": 2}', "duplicate_key"),
        ("{pod.ready: 1, 0: 2}", "unsupported"),
        ("'abc'.substring(4)", "argument"),
        ("pod.name.matches(pod.name + '(')", "argument"),
        ("absent", "missing"),
        ("pod.absent", "missing"),
        ("pod['absent']", "missing"),
        ("{'a': 1}[pod.name]", "missing"),
    ],
)
def test_what_has_no_value_fails_with_a_stable_code(source: str, wanted: str) -> None:
    assert code(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("absent.x && false", False),
        ("false && absent.x", False),
        ("1 / 0 > 1 || true", True),
        ("dyn('a') || true", True),
        ("absent && absent.x && pod.ready", False),
        ("[1, 'a'].exists(x, x > 0)", True),
        ("['a', 1].exists(x, x > 0)", True),
        ("['a', 1].all(x, x > 1)", False),
        ("[].all(x, x.y) && ![].exists(x, x.y)", True),
    ],
)
def test_an_error_that_does_not_matter_is_absorbed(source: str, wanted: Any) -> None:
    assert value(source) is wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("absent.x && true", "missing"),
        ("true && dyn('a')", "no_such_overload"),
        ("false || 1 / 0 > 1", "divide_by_zero"),
        ("['a', 1].all(x, x > 0)", "no_such_overload"),
        ("[1].exists(x, absent)", "missing"),
        ("['a', 1, 2].exists_one(x, x > 1)", "no_such_overload"),
        ("[1].filter(x, dyn(1))", "no_such_overload"),
        ("dyn(1).all(x, true)", "no_such_overload"),
    ],
)
def test_an_error_that_matters_is_raised(source: str, wanted: str) -> None:
    assert code(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("[1, 2, 3].filter(x, x > 1)", [2, 3]),
        ("[1, 2, 3].map(x, x * 2)", [2, 4, 6]),
        ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
        ("[1, 2, 2].exists_one(x, x == 2)", False),
        ("[1, 2, 2].exists_one(x, x == 1)", True),
        ("{'a': 1}.map(k, k)", ["a"]),
        ("[1].map(pod, .pod.name + string(pod))", ["web-11"]),
        ("[1, 2].map(x, [x, 3].map(x, x + 1))", [[2, 4], [3, 4]]),
        ("nested.exists(x, has(x.b) && x.b == 2)", True),
        ("has(pod.node) && !has(pod.nothing)", True),
        ("items.size() + size('é😀') + size(b'é') + size({1: 2})", 8),
        ("items[1] == 2 && items[2u] == 'x'", True),
        ("'x' in items && 'name' in pod && !('y' in items)", True),
    ],
)
def test_lists_maps_and_macros(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c')", True),
        ("'web-42'.matches('^web-[0-9]+$') && !matches('web', '[0-9]')", True),
        ("'AbÇ'.lowerAscii() + 'abç'.upperAscii()", "abÇABç"),
        ("'abab'.replace('a', 'x') + 'abab'.replace('a', 'x', 1)", "xbxbxbab"),
        ("'ab'.replace('', '-')", "-a-b-"),
        ("'a,b,c'.split(',') + 'a,b,c'.split(',', 2)", ["a", "b", "c", "a", "b,c"]),
        ("'abc'.split('') + 'abc'.split('', 2) + 'a'.split(',', 0)", ["a", "b", "c", "a", "bc"]),
        ("'tacocat'.substring(4) + 'tacocat'.substring(0, 4)", "cattaco"),
        (r"'\u2003 a\u200b\t'.trim()", "a\u200b"),
        ("['tacocat'.indexOf('a', 3), 'tacocat'.lastIndexOf('at', 5)]", [5, 5]),
        ("['tacocat'.indexOf(''), 'tacocat'.lastIndexOf('z')]", [0, -1]),
        ("'é😀'.charAt(1) + 'a'.charAt(1)", "😀"),
        ("['a', 'b'].join('-') + ['c', 'd'].join()", "a-bcd"),
        ("'añb'.reverse()", "bña"),
    ],
)
def test_strings(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("[int('-7'), int(7.9), int(-7.9), int(7u)]", [-7, 7, -7, 7]),
        ("[double(1), double('1e3'), double('-inf')]", [1.0, 1000.0, -math.inf]),
        ("[string(1.0), string(0.1), string(1e6), string(1e-5)]", ["1", "0.1", "1e+06", "1e-05"]),
        ("[string(123456.789), string(-0.0), string(0.00012)]", ["123456.789", "-0", "0.00012"]),
        ("string(true) + string(b'abc') + string(5u)", "trueabc5"),
        ("[bool('t'), bool('FALSE')]", [True, False]),
        ("bytes('é')", b"\xc3\xa9"),
        ("type(uint('5'))", "uint"),
        ("[type(1), type('a')]", ["int", "string"]),
    ],
)
def test_conversions(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            "timestamp('2024-02-29T12:30:45.5+02:00')",
            datetime(2024, 2, 29, 10, 30, 45, 500000, UTC),
        ),
        ("timestamp(1)", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("duration('1h2m3.5s') + duration('-500ms')", timedelta(hours=1, minutes=2, seconds=3)),
        ("timestamp(60) - timestamp(0)", timedelta(minutes=1)),
        ("timestamp(0) + duration('1m') == timestamp(60)", True),
        ("timestamp(60) - duration('1m') < timestamp(1)", True),
        ("string(timestamp(0)) + string(duration('90m'))", "1970-01-01T00:00:00Z5400s"),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", -1),
        ("timestamp('2024-01-07T23:30:00Z').getDayOfWeek()", 0),
        ("timestamp('2024-01-07T23:30:00Z').getDayOfWeek('Europe/Berlin')", 1),
        ("timestamp('2024-01-01T00:00:00Z').getFullYear('-08:00')", 2023),
        ("timestamp('2024-03-01T00:00:00.25Z').getDayOfYear()", 60),
        ("timestamp('2024-03-01T00:00:00.25Z').getMilliseconds()", 250),
        ("duration('-3730.5s').getMinutes()", -62),
        ("duration('3730.5s').getMilliseconds()", 500),
    ],
)
def test_timestamps_and_durations(source: str, wanted: Any) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{'a': 1, 'b': 2}.transformMap(k, v, v * 10)", {"a": 10, "b": 20}),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, k + k)", {"b": "bb"}),
        ("['x', 'y'].transformMap(i, v, v + string(i))", {0: "x0", 1: "y1"}),
        ("{'a': 1}.transformMapEntry(k, v, {v: k})", {1: "a"}),
        ("{'a': 1, 'b': 2}.transformMapEntry(k, v, v > 1, {k: v, 'n': 0})", {"b": 2, "n": 0}),
        ("[1, 2].transformMapEntry(i, v, {})", {}),
    ],
)
def test_macros_build_maps(source: str, wanted: Any) -> None:
    assert value(source) == wanted


def test_a_map_is_not_built_with_one_key_for_two_values() -> None:
    assert code("[1, 2].transformMapEntry(i, v, {'same': v})") == "duplicate_key"
    assert code("[1, 2].transformMapEntry(i, v, dyn(v))") == "no_such_overload"
    assert code("dyn(1).transformMap(k, v, v)") == "no_such_overload"


def test_an_optional_value_is_no_result() -> None:
    assert code("pod.?name") == "argument"
    assert code("[pod.?name]") == "argument"


def test_a_time_finer_than_python_can_hold_is_refused_and_not_rounded() -> None:
    assert code("timestamp('2024-01-01T00:00:00.' + string(123456789) + 'Z')") == "conversion"
    assert code("duration(pod.name.substring(4) + 'ns')") == "conversion"


def test_no_overload_of_time_arithmetic_leaves_its_range() -> None:
    assert code("timestamp('9999-12-31T23:59:59Z') + duration('1h')") == "overflow"
    assert code("timestamp('9999-12-31T23:59:59Z') - timestamp(0)") == "overflow"


def test_a_part_of_an_unknown_zone_fails() -> None:
    assert code("timestamp(0).getHours('Europe/Nowhere')") == "argument"
    assert code("timestamp(0).getHours('../../etc/passwd')") == "argument"
