"""YAML 1.2 with places; unsafe and ambiguous input is refused."""

import tracemalloc

import pytest

from engine.rules.yaml import MAX_BYTES, MAX_FAULTS, MAX_VALUES, Node, Source, read


def plain(text: str | bytes) -> object:
    source = read("a.yaml", text)
    assert not source.faults
    (document,) = source.documents
    return document.plain()


def told(text: str | bytes) -> list[str]:
    return [str(fault) for fault in read("a.yaml", text).faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("-5", -5),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_scalars_mean_what_the_core_schema_of_yaml_1_2_says(text: str, value: object) -> None:
    assert plain(f"a: {text}") == {"a": value}


def test_keys_are_texts_as_they_are_written() -> None:
    assert plain("on: 1\nno: 2\n12:30: 3\n1: 4\n<<: 5\n~: 6") == {
        "on": 1,
        "no": 2,
        "12:30": 3,
        "1": 4,
        "<<": 5,
        "~": 6,
    }


def value(source: Source, key: str) -> Node:
    root = source.documents[0].value
    assert isinstance(root, dict)
    return root[key]


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("a: one two", "two", (1, 8)),
        ("a: 'it''s two'", "two", (1, 11)),
        ('a: "x \\" two"', "two", (1, 10)),
        ("a: |\n  one\n    two\n", "two", (3, 5)),
        ("a: >-\n  one\n  two three\n", "three", (3, 7)),
        ("a: one\n   two\n", "two", (2, 4)),
        ("# é\na: 'ü\n\n   two'", "two", (4, 4)),
        ("a: one\r\n   two\r\n", "two", (2, 4)),
        ("a: 'one\n\ttwo'", "two", (2, 2)),
        ("\ufeffa: one two", "two", (1, 8)),
    ],
)
def test_every_character_of_a_text_knows_its_place(
    text: str, word: str, place: tuple[int, int]
) -> None:
    source = read("a.yaml", text)
    node = value(source, "a")
    assert source.place(node, str(node.value).index(word)) == place


def test_a_character_behind_an_escape_falls_back_to_the_start_of_the_text() -> None:
    source = read("a.yaml", 'a: "\\u0041B"')
    assert source.place(value(source, "a"), 0) == (1, 4)


def test_a_byte_order_mark_shifts_nothing() -> None:
    source = read("a.yaml", b"\xef\xbb\xbfa: b")
    assert (value(source, "a").line, value(source, "a").column) == (1, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1", "a.yaml:1:4 anchor '&x': anchors are not allowed"),
        ("a: *x", "a.yaml:1:4 alias '*x': write the value out"),
        ("a: !!int '5'", "a.yaml:1:4 tag 'tag:yaml.org,2002:int': tags are not allowed"),
        ("a: ! 5", "a.yaml:1:4 tag '!': tags are not allowed"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1 key 'a' is there already, line 1"),
        ("? {a: b}\n: 1", "a.yaml:1:3 a key must be a text, not a list or a mapping"),
        ("a: 9223372036854775808", "a.yaml:1:4 number '9223372036854775808' does not fit 64 bits"),
        ("a:\n\tb: 1", "a.yaml:2:1 not YAML: a tab can not indent; use spaces"),
        ("a: \x00", "a.yaml:1:4 character U+0000 is not allowed in YAML; write it escaped"),
        ("a: \ud800", "a.yaml:1:4 character U+D800 is not allowed in YAML; write it escaped"),
        (b"a: 1\nb: \xff", "a.yaml:2:4 byte 0xff is not UTF-8"),
        (b"\xff\xfea\x00", "a.yaml:1:1 byte 0xff is not UTF-8"),
        ("a: [1, 2\nb: 3", "a.yaml:2:2 not YAML: did not find expected ',' or ']'"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str | bytes, message: str) -> None:
    (fault,) = told(text)
    assert fault.startswith(message)


def test_several_faults_of_a_document_are_told_at_once() -> None:
    assert len(told("a: &x 1\nb: *x\nc: !!set {}\na: 2")) == 4


def test_documents_before_a_syntax_error_are_kept() -> None:
    source = read("a.yaml", "a: 1\n---\nb: [")
    assert [document.plain() for document in source.documents] == [{"a": 1}]
    assert len(source.faults) == 1


def test_an_alias_bomb_is_refused_without_growing() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    assert len(told(bomb)) > 20


@pytest.mark.parametrize("opener", ["[", "{a: ", "- ", "? "])
def test_nesting_stops_at_thirty_two_levels(opener: str) -> None:
    (fault,) = told(opener * 500)
    assert "nested deeper than 32 levels" in fault


def test_thirty_two_levels_are_allowed() -> None:
    assert not told("[" * 31 + "1" + "]" * 31)
    assert told("[" * 32 + "1" + "]" * 32)


def test_a_file_above_one_mebibyte_is_refused() -> None:
    assert told("#" * MAX_BYTES) == []
    assert told("#" * (MAX_BYTES + 1)) == [
        f"a.yaml:1:1 the file has {MAX_BYTES + 1} bytes; at most {MAX_BYTES}"
    ]


def test_the_size_counts_bytes_not_characters() -> None:
    assert "bytes; at most" in told("#" + "é" * (MAX_BYTES // 2))[0]


def test_a_file_of_very_many_values_is_refused_within_bounds_of_memory() -> None:
    text = "[" + "a, " * (MAX_VALUES + 5) + "a]"
    tracemalloc.start()
    (fault,) = told(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"more than {MAX_VALUES} values" in fault
    assert peak < 100 << 20


def test_faults_of_a_hopeless_file_are_bounded() -> None:
    assert len(told("a: 1\n" * 5000)) == MAX_FAULTS + 1
