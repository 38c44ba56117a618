"""YAML of strangers: every fault is a ValueError with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import safe_yaml

TAGS = st.sampled_from(
    ["bool", "int", "float", "timestamp", "binary", "set", "omap", "pairs", "merge", "null", "str"]
)


def fault_of(raw: bytes | str) -> str:
    try:
        safe_yaml.load(raw)
    except ValueError as error:
        return str(error)
    return "not YAML, or nothing wrong with it"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"a: 1\nb: !!bool maybe", "2:4: a value that is no bool"),
        (b"!!timestamp x", "1:1: a value that is no timestamp"),
        (b"a: !!int ''", "1:4: a value that is no int"),
        (b"a: 2026-99-99", "1:4: a value that is no timestamp"),
        (b"a: " + b"9" * 5000, "1:4: a value that is no int"),
        (b"? [a]\n: b", "1:3: found unhashable key"),
        (b"[" * 5000, "1:1001: exceeded maximum nesting depth"),
        (b"!!python/object:os.system x", "1:1: could not determine"),
    ],
)
def test_a_value_that_its_tag_does_not_allow_is_a_fault_with_its_place(
    raw: bytes, where: str
) -> None:
    with pytest.raises(ValueError, match=f"^not YAML at {where}"):
        safe_yaml.load(raw)


@given(
    tag=TAGS,
    text=st.one_of(st.text(max_size=8), st.sampled_from(["[a]", "{a: b}", "-", "''", "1:2"])),
)
def test_whatever_text_is_tagged_nothing_but_a_value_error_is_raised(tag: str, text: str) -> None:
    assert fault_of(f"a: !!{tag} {text}").startswith("not YAML")


@given(st.binary(max_size=64))
def test_bytes_that_are_no_text_raise_nothing_but_a_value_error(raw: bytes) -> None:
    assert fault_of(raw).startswith("not YAML")
