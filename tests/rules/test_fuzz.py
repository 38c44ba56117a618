"""Whatever is in a rule file, loading it ends soon, raises nothing and says what is wrong."""

from pathlib import Path
from timeit import default_timer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rules.load import load
from engine.rules.parameters import KindShape

RULES = Path(__file__).parents[2] / "rules"
TEXTS = [path.read_bytes() for path in sorted(RULES.glob("*.yaml"))]
NOISE = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            b"\n",
            b"\t",
            b"  ",
            b": ",
            b"- ",
            b"[",
            b"]",
            b"{",
            b"}",
            b"'",
            b'"',
            b"|",
            b">",
            b"&a ",
            b"*a",
            b"!!x ",
            b"---\n",
            b"#",
            b"{{",
            b"}}",
            b"{% for ",
            b"%}",
            b"null",
            b"1e999",
            b"\xff",
            b"&&",
            b"(",
            b")",
            b"==",
            b".",
            b"m.",
            b"signal",
            b"\x00",
            b"\xef\xbb\xbf",
            b"9" * 30,
        ]
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(TEXTS))
    start = draw(st.integers(0, max(0, len(text) - 1500)))
    text = text[:400] + text[start : start + 1500] if draw(st.booleans()) else text
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 30))
        text = text[:at] + draw(NOISE) + text[at + cut :]
    return text


def seconds(files: dict[str, str | bytes]) -> float:
    start = default_timer()
    load(files, known_kinds={"incident-response": KindShape({})}, known_sinks=set())
    return default_timer() - start


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=mutated())
def test_a_damaged_file_is_loaded_or_refused_within_a_second(text: bytes) -> None:
    assert seconds({"a.yaml": text}) < 1


@settings(max_examples=100, deadline=None)
@given(text=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_noise_is_refused(text: bytes | str) -> None:
    loaded = load({"a.yaml": text})
    assert loaded.rules.rules == ()
    assert all(fault.line >= 1 and fault.column >= 1 for fault in loaded.faults)


@pytest.mark.parametrize(
    "text",
    [
        "{" * (1 << 20),
        "- " * (1 << 19),
        "a: " * (1 << 18),
        "? " * (1 << 19),
        "[a, " * (1 << 18),
        "'" * (1 << 20),
        "a: |\n" + " x\n" * 300_000,
        "&a " * (1 << 18),
        "a: 1\n" * 200_000,
        "x" * (1 << 20),
        "\n" * (1 << 20),
        "#" * (1 << 20),
    ],
    ids=lambda text: repr(text[:6]),
)
def test_a_mebibyte_of_one_thing_is_refused_in_time(text: str) -> None:
    assert seconds({"a.yaml": text[: 1 << 20]}) < 1
