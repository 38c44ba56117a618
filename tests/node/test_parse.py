"""The texts of sysfs as values: what they say, and that nothing breaks it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.node import parse
from engine.node.nvidia import throttles


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (parse.number, "0", 0),
        (parse.number, "-1", -1),
        (parse.number, "9223372036854775807", (1 << 63) - 1),
        (parse.number, "9223372036854775808", None),
        (parse.number, "1.5", None),
        (parse.number, "", None),
        (parse.counter, "4294967295", (1 << 32) - 1),
        (parse.counter, "-1", None),
        (parse.code, "0x10de", 0x10DE),
        (parse.code, "0x030200", 0x030200),
        (parse.code, "10de", None),
        (parse.speed, "100000", 100_000),
        (parse.speed, "-1", None),
        (parse.state, "4: ACTIVE", "active"),
        (parse.state, "1: DOWN", "down"),
        (parse.state, "5: LinkUp", "linkup"),
        (parse.state, "5: ACTIVE_DEFER", "active_defer"),
        (parse.state, "ACTIVE", None),
        (parse.rate, "100 Gb/sec (4X EDR)", 100.0),
        (parse.rate, "2.5 Gb/sec (1X SDR)", 2.5),
        (parse.rate, "0 Gb/sec", None),
        (parse.rate, "fast", None),
        (parse.temperature, "38850", 38.9),
        (parse.temperature, "-5000", -5.0),
        (parse.temperature, "65261850", None),
        (parse.word, " SAMSUNG   MZQL2 ", "SAMSUNG MZQL2"),
        (parse.word, "\x01", None),
        (parse.word, "   ", None),
        (parse.pci_address, "00000000:3B:00.0", "0000:3b:00.0"),
        (parse.pci_address, "0000:3b:00.0", "0000:3b:00.0"),
        (parse.pci_address, "10000:e1:00.0", "10000:e1:00.0"),
        (parse.pci_address, "3b:00.0", None),
    ],
)
def test_a_text_says_what_it_says(reader: Callable[[str], Any], text: str, value: Any) -> None:
    assert reader(text) == value


READERS = [
    parse.number,
    parse.counter,
    parse.code,
    parse.speed,
    parse.state,
    parse.rate,
    parse.temperature,
    parse.word,
    parse.pci_address,
    parse.wear,
]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(text=st.text() | st.from_regex(r"[0-9x: .a-fA-F+-]{0,30}", fullmatch=True))
def test_no_text_breaks_a_reader(reader: Callable[[str], Any], text: str) -> None:
    reader(text)


LOG = {
    "critical_warning": 0,
    "temperature": 311,
    "avail_spare": 97,
    "spare_thresh": 10,
    "percent_used": 104,
    "media_errors": "2",
}


def test_the_health_log_of_a_drive_gives_its_wear() -> None:
    assert parse.wear(json.dumps(LOG)) == {
        "spare": 97.0,
        "spareThreshold": 10.0,
        "used": 104.0,
        "mediaErrors": 2,
        "temperature": 37.9,
    }


@pytest.mark.parametrize("wrong", [-1, 256, None, True, 3.5, "x", [1], 10**30])
def test_a_share_that_cannot_be_is_left_out(wrong: Any) -> None:
    assert "spare" not in parse.wear(json.dumps({**LOG, "avail_spare": wrong}))


@given(log=st.dictionaries(st.sampled_from(sorted(LOG)), st.integers() | st.floats() | st.text()))
def test_no_health_log_gives_what_cannot_be(log: dict[str, Any]) -> None:
    fields = parse.wear(json.dumps(log))
    assert all(0 <= fields[name] <= 255 for name in ("spare", "used") if name in fields)
    assert -100 <= fields.get("temperature", 0) <= 300


@pytest.mark.parametrize(
    ("reasons", "words"),
    [(0, []), (0x1 | 0x2, []), (0x20 | 0x40, ["thermal"]), (0x4 | 0x80, ["power", "power-brake"])],
)
def test_idleness_is_no_throttling(reasons: int, words: list[str]) -> None:
    assert throttles(reasons) == words
