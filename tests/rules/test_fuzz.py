"""Whatever is in a rule file, loading it ends soon, raises nothing and says what is wrong.

The nightly form is RULE_FUZZ_EXAMPLES=1000000, an hour of one core; RULE_FUZZ_FIRST is the number
of the first file, for several runs side by side.
"""

import os
import re
from pathlib import Path
from time import process_time
from timeit import default_timer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rules.load import load
from engine.rules.parameters import KindShape
from tests.rules.rule_files import generated

EXAMPLES = int(os.environ.get("RULE_FUZZ_EXAMPLES", "300"))
FIRST = int(os.environ.get("RULE_FUZZ_FIRST", "0"))
KINDS = {
    "incident-response": KindShape({"symptom": {"type": "string"}, "namespace": {}}),
    "plan": KindShape({"days": {"type": "integer", "minimum": 1}}, required=frozenset({"days"})),
    "capacity-plan": KindShape({"reason": {}}, later=True),
}
OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
"""Line breaks of YAML 1.1, by which libyaml counts lines as no editor does."""
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


def told(text: bytes) -> list[str]:
    """Load one file; return what is wrong with what is said about it."""
    start = process_time()
    faults = load({"a.yaml": text}, known_kinds=KINDS, known_sinks={"oncall"}).faults
    wrong = [] if process_time() - start < 1 else ["it took a second"]
    lines = text.decode(errors="replace").removeprefix("\ufeff").split("\n")
    if not OTHER_BREAKS.search("".join(lines)):
        places = {number: len(line) + 1 for number, line in enumerate(lines, 1)}
        wrong += [str(one) for one in faults if not 1 <= one.column <= places.get(one.line, 0)]
    return wrong + [
        one.message for one in faults if not one.message.isprintable() or len(one.message) > 1000
    ]


def test_a_changed_file_is_loaded_or_refused_with_a_place_inside_it() -> None:
    for seed in range(FIRST, FIRST + EXAMPLES):
        try:
            assert told(generated(seed)) == []
        except Exception as error:
            raise AssertionError(f"file {seed}") from error


def test_changed_files_are_of_every_sort() -> None:
    loads = [load({"a.yaml": generated(seed)}) for seed in range(200)]
    good = sum(bool(loaded.rules.rules) for loaded in loads)
    codes = {fault.code for loaded in loads for fault in loaded.faults}
    assert 10 < good < 150
    assert len(codes) > 25


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
