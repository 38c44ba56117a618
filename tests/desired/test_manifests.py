"""Files to objects: whatever a file holds, it is read or told of, and no value of it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.desired.manifests import Manifests, read_manifests, read_mapping

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  p: "
TAGS = st.sampled_from(
    ["", "!", "!!bool ", "!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!set ", "!!omap "]
)
ODD = (
    "!canary", "!<canary> x", "!!bool canary", "!!int canary", "!!int ''", "!!float canary",
    "!!timestamp canary", "!!binary canary", "!!omap [canary]", "*canary", "&canary [*other]",
    "!!python/name:canary x", "canary: x", "'canary", "{[canary]: x}", "{!!binary canary: x}",
    "0x" + "f" * 9000, "9" * 9000, "[" * 9000,
)  # fmt: skip


def faults(raw: bytes, *, is_json: bool = False) -> str:
    """Return all that is told of a file, read by either way."""
    told = read_manifests(raw, is_json=is_json).faults
    try:
        read_mapping(raw)
    except ValueError as error:
        told = [*told, str(error)]
    return "; ".join(told)


@pytest.mark.parametrize("value", ODD)
def test_a_value_that_can_not_be_read_is_told_by_its_place_and_never_itself(value: str) -> None:
    told = faults(f"{SECRET}{value}\n".encode())
    assert told
    assert "canary" not in told


def test_what_stands_before_a_value_that_can_not_be_read_is_kept() -> None:
    found = read_manifests(f"{SECRET}x\n---\na: !!bool maybe\n".encode(), is_json=False)
    assert [obj["metadata"]["name"] for obj in found.objects] == ["s"]
    assert found.faults == ["not YAML at 7:4: a value that is no bool"]


@given(tag=TAGS, text=st.text(max_size=8), is_json=st.booleans())
def test_no_text_under_any_tag_raises(tag: str, text: str, *, is_json: bool) -> None:
    raw = f"{SECRET}{tag}{text}\n".encode(errors="surrogatepass")
    assert isinstance(read_manifests(raw, is_json=is_json), Manifests)
    faults(raw)


@given(raw=st.binary(max_size=64), is_json=st.booleans())
def test_no_bytes_raise(raw: bytes, *, is_json: bool) -> None:
    assert isinstance(read_manifests(raw, is_json=is_json), Manifests)
    faults(raw)
