"""Inventory: what counts as gone, as new, as replaced, and what is only a hiccup."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.inventory import (
    DAY_S,
    Count,
    Holding,
    Limits,
    Tally,
    look,
    look_at_count,
    reset,
    reset_count,
)

LIMITS = Limits(looks=3, absent_s=90, settle_s=600, baseline_s=7 * DAY_S)
START = 1_700_000_000
EIGHT = {f"pci-{n}": f"gpu-{n}" for n in range(8)}
SEVEN = {key: name for key, name in EIGHT.items() if key != "pci-3"}


def seen(*looks: tuple[int, dict[str, str]], before: Holding | None = None) -> list[Tally]:
    """Return the tally of each look: (seconds after the start, what is there)."""
    tallies, holding = [], before
    for at, present in looks:
        holding, tally = look(holding, present, START + at, LIMITS)
        holding = msgspec.json.decode(msgspec.json.encode(holding), type=Holding)
        tallies.append(tally)
    return tallies


def counted(*looks: tuple[int, int]) -> list[tuple[int, int]]:
    tallies, count = [], None
    for at, number in looks:
        count, tally = look_at_count(count, number, START + at, LIMITS)
        count = msgspec.json.decode(msgspec.json.encode(count), type=Count)
        tallies.append((tally.count, tally.baseline))
    return tallies


def test_what_is_there_at_first_is_what_should_be_there() -> None:
    assert seen((0, EIGHT)) == [Tally(8, 8)]
    assert counted((0, 8)) == [(8, 8)]


def test_a_device_that_is_missed_long_enough_is_gone_and_named() -> None:
    tallies = seen((0, EIGHT), *((at, SEVEN) for at in (30, 60, 90, 120)))
    assert tallies[:4] == [Tally(8, 8)] * 4
    assert tallies[4] == Tally(7, 8, ("gpu-3",))
    assert counted((0, 8), (30, 7), (60, 7), (120, 7)) == [(8, 8), (8, 8), (8, 8), (7, 8)]


def test_two_looks_do_not_suffice_however_long_they_took() -> None:
    assert seen((0, EIGHT), (30, SEVEN), (900, SEVEN))[-1] == Tally(8, 8)
    assert counted((0, 8), (30, 7), (900, 7))[-1] == (8, 8)


def test_a_driver_that_is_loaded_anew_is_no_news() -> None:
    assert seen((0, EIGHT), (30, {}), (60, {}), (90, EIGHT), (120, {})) == [Tally(8, 8)] * 5
    assert counted((0, 8), (30, 0), (60, 0), (90, 8), (120, 0)) == [(8, 8)] * 5


def test_a_device_that_comes_back_is_there_at_once() -> None:
    gone = [(at, SEVEN) for at in (30, 60, 120)]
    assert seen((0, EIGHT), *gone, (150, EIGHT))[-1] == Tally(8, 8)
    assert counted((0, 8), (30, 7), (60, 7), (120, 7), (150, 8))[-1] == (8, 8)


def test_a_new_device_counts_at_once_and_raises_the_baseline_once_it_stayed() -> None:
    nine = EIGHT | {"pci-8": "gpu-8"}
    assert seen((0, EIGHT), (30, nine), (600, nine), (630, nine)) == [
        Tally(8, 8),
        Tally(9, 8),
        Tally(9, 8),
        Tally(9, 9),
    ]
    assert counted((0, 8), (30, 9), (600, 9), (630, 9)) == [(8, 8), (9, 8), (9, 8), (9, 9)]


def test_a_new_device_that_leaves_before_it_settled_is_no_loss() -> None:
    nine = EIGHT | {"pci-8": "gpu-8"}
    assert seen((0, EIGHT), (30, nine), *((at, EIGHT) for at in (60, 90, 300)))[-1] == Tally(8, 8)
    assert counted((0, 8), (30, 9), (60, 8), (90, 8), (300, 8))[-1] == (8, 8)


def test_a_device_that_was_replaced_is_not_missed() -> None:
    other = SEVEN | {"pci-new": "gpu-3"}
    looks = [(at, other) for at in (30, 60, 120, 700, 1000)]
    assert seen((0, EIGHT), *looks) == [Tally(8, 8)] * 6


def test_a_new_device_that_comes_and_goes_raises_no_baseline() -> None:
    nine = EIGHT | {"pci-8": "gpu-8"}
    looks = [(30, nine), (60, EIGHT), (900, nine), (930, nine)]
    assert seen((0, EIGHT), *looks)[-1] == Tally(9, 8)


def test_a_device_that_was_replaced_is_forgotten() -> None:
    other = SEVEN | {"pci-new": "gpu-3"}
    looks = [(at, other) for at in (30, 60, 120, 700)]
    assert seen((0, EIGHT), *looks, (730, other | EIGHT))[-1] == Tally(9, 8)


def test_after_a_replacement_only_the_one_that_went_last_is_named() -> None:
    six = {key: name for key, name in SEVEN.items() if key != "pci-5"} | {"pci-new": "gpu-9"}
    looks = [(30, SEVEN), (60, SEVEN), (120, SEVEN), (150, six), (180, six), (240, six)]
    assert seen((0, EIGHT), *looks)[-1] == Tally(7, 8, ("gpu-5",))


def test_the_baseline_falls_after_days_without_the_device_and_not_before() -> None:
    looks = [(30, SEVEN), (60, SEVEN), (120, SEVEN)]
    before, after = 120 + 7 * DAY_S - 1, 120 + 7 * DAY_S
    tallies = seen((0, EIGHT), *looks, (before, SEVEN), (after, SEVEN), (after + 30, SEVEN))
    assert tallies[-3:] == [Tally(7, 8, ("gpu-3",)), Tally(7, 7), Tally(7, 7)]
    counts = counted((0, 8), (30, 7), (60, 7), (120, 7), (before, 7), (after, 7))
    assert counts[-2:] == [(7, 8), (7, 7)]


def test_days_in_which_nobody_looked_do_not_lower_the_baseline() -> None:
    later = 30 * DAY_S
    looks = [(later, SEVEN), (later + 60, SEVEN), (later + 120, SEVEN)]
    assert seen((0, EIGHT), *looks)[-1] == Tally(7, 8, ("gpu-3",))
    assert counted((0, 8), (later, 7), (later + 60, 7), (later + 120, 7))[-1] == (7, 8)


def test_a_reset_takes_what_is_there_as_what_should_be() -> None:
    holding: Holding | None = None
    count: Count | None = None
    for at, present in ((0, EIGHT), (30, SEVEN), (60, SEVEN), (120, SEVEN)):
        holding, _ = look(holding, present, START + at, LIMITS)
        count, _ = look_at_count(count, len(present), START + at, LIMITS)
    assert holding is not None
    assert count is not None
    assert look(reset(holding), SEVEN, START + 150, LIMITS)[1] == Tally(7, 7)
    assert look_at_count(reset_count(count), 7, START + 150, LIMITS)[1] == Tally(7, 7)


LOOKS = st.lists(
    st.tuples(st.integers(0, 2000), st.sets(st.sampled_from("abcdef"))), min_size=1, max_size=30
)


@pytest.mark.parametrize("known", ["names", "numbers"])
@given(looks=LOOKS)
def test_a_tally_is_short_only_while_fewer_are_there_than_ever_were(
    known: str, looks: list[tuple[int, set[str]]]
) -> None:
    holding: Holding | None = None
    count: Count | None = None
    at, highest = START, 0
    for passed, present in looks:
        at += passed
        if known == "names":
            holding, tally = look(holding, dict.fromkeys(present, ""), at, LIMITS)
        else:
            count, tally = look_at_count(count, len(present), at, LIMITS)
        highest = max(highest, len(present))
        assert len(present) <= tally.count or known == "numbers"
        assert 0 <= tally.baseline <= highest
        if tally.count < tally.baseline:
            assert len(present) < tally.baseline


@given(looks=LOOKS)
def test_what_never_goes_is_never_missed(looks: list[tuple[int, set[str]]]) -> None:
    holding, at = None, START
    for passed, more in looks:
        at += passed
        holding, tally = look(holding, dict.fromkeys({"x", *more}, ""), at, LIMITS)
        assert tally.count >= 1
        assert len(tally.missing) <= max(0, tally.baseline - tally.count)
