"""Use over days: percentiles to 5 %, means of the hours that are known, small, and readable."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.usage import Day, Decaying, Use, Whose, encoded, key_of, summaries, uses

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
HOUR_S = 3600.0
WEB = Whose("shop", "web", "cpu")


def spread(*values: float, every_s: float = 15.0) -> Decaying:
    made = Decaying()
    for number, value in enumerate(values):
        made.add(value, NOON_S + number * every_s)
    return made


def test_percentiles_are_near_those_of_the_values() -> None:
    chance = random.Random(7)
    values = [chance.lognormvariate(-2, 1) for _ in range(5000)]
    made, ordered = spread(*values, every_s=0.1), sorted(values)
    for share in (0.5, 0.9, 0.95, 0.99):
        assert made.percentile(share) == pytest.approx(ordered[int(share * 5000) - 1], rel=0.06)
    assert made.mean == pytest.approx(sum(values) / 5000, rel=0.01)


def test_what_is_a_day_older_weighs_half() -> None:
    made = Decaying()
    made.add(1.0, NOON_S)
    made.add(4.0, NOON_S + 24 * HOUR_S)
    assert made.mean == pytest.approx(3.0)


def test_years_do_not_overflow() -> None:
    made = spread(*[1.0] * 3000, every_s=24 * HOUR_S)
    assert made.mean == pytest.approx(1.0)
    assert made.percentile(0.99) == pytest.approx(1.0, rel=0.05)


def test_a_day_is_the_mean_of_its_hours_and_a_gap_counts_for_nothing() -> None:
    day = Day()
    for hour, values in ((0, [1, 3]), (1, [4]), (5, [6])):
        for value in values:
            day.add(value, NOON_S + hour * HOUR_S)
    now = NOON_S + 5 * HOUR_S
    assert (day.known(now), day.mean(now)) == (3, 4.0)


def test_hours_pass_out_of_a_day() -> None:
    day = Day()
    day.add(8.0, NOON_S)
    day.add(2.0, NOON_S + 12 * HOUR_S)
    assert (day.known(NOON_S + 23 * HOUR_S), day.mean(NOON_S + 24 * HOUR_S)) == (2, 2.0)
    assert (day.known(NOON_S + 99 * HOUR_S), day.mean(NOON_S + 99 * HOUR_S)) == (0, None)
    assert len(day.sums) == 13


def test_the_past_fills_only_hours_of_which_nothing_is_known() -> None:
    day = Day()
    day.add(9.0, NOON_S)
    for hour in range(-30, 3):
        day.fill(3.0, NOON_S + hour * HOUR_S)
    assert (day.known(NOON_S), day.mean(NOON_S)) == (24, (23 * 3 + 9) / 24)
    assert len(day.sums) == 24


def test_what_is_kept_can_be_read_back() -> None:
    use = Use(spread(*[0.25] * 90, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0))
    (summary,) = summaries({key_of(WEB): encoded(use)})
    assert (summary.whose, summary.samples, summary.since) == (WEB, 100, NOON)
    assert summary.until == NOON + timedelta(seconds=99 * 15)
    assert summary.percentiles["p50"] == pytest.approx(0.25, rel=0.05)
    assert summary.percentiles["p99"] == pytest.approx(4.0, rel=0.05)


def test_a_workload_of_a_hundred_pods_takes_little_room() -> None:
    chance = random.Random(7)
    use = Use()
    for number in range(100 * 24):
        value, at = chance.lognormvariate(-1, 0.5), NOON_S + number / 100 * HOUR_S
        use.spread.add(value, at)
        use.days.setdefault(f"web-5d4f-{number % 100}", Day()).add(value, at)
    assert len(encoded(use)) < 40_000


def test_entries_that_cannot_be_read_are_left_out() -> None:
    torn = msgspec.msgpack.encode(Use(days={"a": Day(1, [1.0], [])}))
    kept = {key_of(WEB): b"\xff", "no": b"", "a/b/c/d": encoded(Use()), "x/y/cpu": torn}
    assert uses(kept) == {}
    assert summaries({key_of(WEB): encoded(Use())}) == []


def test_pods_that_are_gone_for_a_day_are_forgotten() -> None:
    use = Use(days={"old": Day(), "new": Day()})
    use.days["old"].add(1.0, NOON_S - 25 * HOUR_S)
    use.days["new"].add(1.0, NOON_S - 23 * HOUR_S)
    use.forget(NOON_S)
    assert list(use.days) == ["new"]


@given(st.lists(st.floats(min_value=0, max_value=1e30), min_size=1, max_size=50))
def test_a_percentile_lies_among_the_values(values: list[float]) -> None:
    made = spread(*values)
    found = made.percentile(0.5)
    assert found is not None
    # Buckets end where memory of any machine does.
    assert found >= min(*values, 1e20) * 0.99
    assert found <= max(*values, 1e-4) * 1.06
