"""What compile() refuses: always a CelError with the place, and the nearest name."""

import pytest

from engine.rules.cel import (
    BOOL,
    DOUBLE,
    DURATION,
    DYN,
    STRING,
    CelError,
    compile,  # noqa: A004 (its name)
)
from tests.rules.cel.declared import SCHEMA


def refusal(source: str, *, typed: bool = False) -> CelError:
    with pytest.raises(CelError) as caught:
        compile(source, schema=SCHEMA if typed else None)
    return caught.value


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("", 1, "the end of the expression"),
        ("1 +", 4, "a value"),
        ("a b", 3, "found 'b'"),
        ("(a", 3, "')'"),
        ("a.", 3, "the name of a field"),
        ("a.in", 3, "the name of a field"),
        ("size([1],)", 10, "a value"),
        ("'abc", 1, "not closed"),
        ("a # b", 3, "unexpected character '#'"),
        (r"'\q'", 1, "unknown escape"),
        (r"'\ud800'", 1, "no Unicode character"),
        (r"b'\u0041'", 1, "bytes take"),
        ("9223372036854775808", 1, "at most 9223372036854775807"),
        ("18446744073709551616u", 1, "too large"),
        ("1e999", 1, "too large"),
        ("while", 1, "reserved word"),
        ("package.x", 1, "reserved word"),
        ("Pod{name: 'x'}", 4, "messages can not be built"),
        ("a.b.Pod{}", 8, "messages can not be built"),
        ("f(?a)", 3, "found '?'"),
        ("[?1]", 3, "? takes an optional value"),
        ("{?'a': 1}", 8, "? takes an optional value"),
        ("has(a.?b)", 1, "one selection"),
        ("a.?b == 1", 6, "never equal"),
        ("a.?b + 1", 6, "does not take (optional_type(dyn), int)"),
        ("cel.bind(a.b, 1, 2)", 12, "a plain name"),
        ("[1].all(i, i, true)", 12, "two different names"),
        ("math.abss(1)", 6, "did you mean 'abs'?"),
        ("regex.extract(a, '(')", 18, "no RE2 pattern"),
        ("has(a)", 1, "one selection"),
        ("has(a['b'])", 1, "one selection"),
        ("[1].all(x.y, true)", 11, "a plain name"),
        ("[1].all(x)", 5, "all() takes 2 or 3 arguments"),
        ("'a'.startWith('b')", 5, "did you mean 'startsWith'?"),
        ("durration('1s')", 1, "did you mean 'duration'?"),
        ("contains('a', 'b')", 1, "is a method"),
        ("'a'.int()", 5, "is no method"),
        ("1 + 'a'", 3, "does not take (int, string)"),
        ("1 == 'a'", 3, "never equal"),
        ("'a' < 1", 5, "have no order"),
        ("[1] < [2]", 5, "have no order"),
        ("1 && true", 1, "takes a bool"),
        ("!'a'", 2, "takes a bool"),
        ("'a' ? 1 : 2", 1, "takes a bool"),
        ("-5u", 1, "does not take (uint)"),
        ("1.x", 3, "has no fields"),
        ("'abc'[0]", 6, "can not be indexed"),
        ("[1]['a']", 5, "indexed by a number"),
        ("{1.5: 1}", 2, "can not be the key"),
        ("'abc'.all(c, true)", 7, "walks over"),
        ("1 in 'abc'", 3, "looks into"),
        ("duration('5 min')", 10, "the units are"),
        ("timestamp('yesterday')", 11, "no RFC 3339"),
        ("a.matches('(')", 11, "no RE2 pattern"),
        (r"a.matches('(a)\\1')", 11, "no RE2 pattern"),
    ],
)
def test_a_mistake_is_refused_at_its_place(source: str, column: int, words: str) -> None:
    error = refusal(source)
    assert (error.line, error.column) == (1, column), str(error)
    assert words in error.message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("signal.namspace == 'x'", "did you mean 'namespace'?"),
        ("signal.data.restrats > 5", "unknown field 'restrats' of data; known: percent, ready"),
        ("signal['nonsense'] == 1", "unknown field 'nonsense'"),
        ("has(signal.data.restrats)", "did you mean 'restarts'?"),
        ("signl.data", "unknown name 'signl'; known: now, params, signal; did you mean 'signal'?"),
        ("signal.waiting.exists(w, wait == 'x')", "unknown name 'wait'"),
        ("signal.data.restarts == 'five'", "an int is never equal to a string"),
        ("signal.data.reason > 5", "a string and an int have no order for >"),
        ("signal.data.percent * 2", "does not take (double, int)"),
        ("signal.namespace.kind", "a string has no fields"),
        ("signal.waiting.x", "a list(string) has no fields"),
        ("now - 5 > signal.time", "does not take"),
        ("signal.data.reason", "never a refusal"),
    ],
)
def test_the_schema_catches_unknown_names_and_wrong_types(source: str, words: str) -> None:
    if words == "never a refusal":
        assert compile(source, schema=SCHEMA).type == STRING
        return
    assert words in refusal(source, typed=True).message


@pytest.mark.parametrize(
    "source",
    [
        "signal.object.spec.replicas > 3",
        "signal.labels.app == 'web' && signal.labels['app.kubernetes.io/name'] == 'x'",
        "signal.labels.`app.kubernetes.io/name` == 'x'",
        "signal.data.percent > 5 && signal.data.percent == 5",
        "now - signal.time > duration('5m')",
        "params.anything.at.all == 1",
        "signal.waiting.exists(w, w.startsWith('Image'))",
        "signal.data.map(k, k).size() > 1",
    ],
)
def test_the_schema_lets_pass_what_may_be_right(source: str) -> None:
    compile(source, schema=SCHEMA)


def test_the_type_of_the_result_is_known() -> None:
    assert compile("signal.data.restarts > 5", schema=SCHEMA).type == BOOL
    assert compile("now - signal.time", schema=SCHEMA).type == DURATION
    assert compile("signal.data.percent", schema=SCHEMA).type == DOUBLE
    assert compile("x").type == DYN


def test_a_double_of_the_schema_may_be_written_as_an_integer_in_json() -> None:
    program = compile("signal.data.percent * 2.0", schema=SCHEMA)
    assert program.evaluate({"signal": {"data": {"percent": 5}}}) == 10.0


def test_a_place_counts_lines() -> None:
    error = refusal("a == 1 &&\n  b ==\n  'x' + 1")
    assert (error.line, error.column) == (3, 7)
