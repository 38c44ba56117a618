"""What puts a change off: freezes, the calendar, the breaker, budgets; and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.changes.policy import AUTOMATIC, held, stopped
from engine.changes.policy.config import BreakerConfig
from engine.changes.policy.holding import open_until
from engine.model.change import Risk
from engine.model.change_row import Freeze, Usage
from tests.changes.policy.cases import (
    ANYWHERE,
    NOON,
    a_policy,
    a_row,
    a_target,
    an_operation,
    decided,
    said,
)

HOUR = timedelta(hours=1)
CALENDAR = """\
approvers: [{groups: [sre]}]
intervals:
  office: {weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}],
           timezone: Europe/Berlin}
  night: {times: [{start_time: "02:00", end_time: "03:00"}], timezone: Europe/Berlin}
  year-end: {months: [december], days_of_month: ["20:31"]}
windows:
  - {clusters: ["prod-*"], namespaces: [shop], risks: [disruptive], during: [office, night]}
freezes:
  - {clusters: ["prod-*"], namespaces: [shop], risks: [disruptive], during: [year-end],
     reason: sales}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_freeze(scope: str = "all", until: datetime | None = None) -> Freeze:
    return Freeze(scope, "ada", "an incident", NOON, until)


def test_nothing_holds_a_change_back_as_delivered() -> None:
    assert held(a_policy(), a_row(), Usage(), NOON) is None


def test_what_is_not_worked_out_is_held() -> None:
    assert held(a_policy(), a_row(change=None), Usage(), NOON) is not None


@pytest.mark.parametrize(
    ("scope", "holds"),
    [("all", True), ("cluster/prod-eu", True), ("cluster/lab", False), ("namespace/x", True)],
)
def test_a_freeze_holds_its_scope_and_one_that_is_not_understood_holds_all(
    scope: str, holds: bool
) -> None:
    for ask in (held, stopped):
        found = ask(a_policy(), a_row(), Usage(freezes=(a_freeze(scope),)), NOON)
        assert (found is not None) is holds
        assert found is None or found.reason == f"frozen ({scope}) by ada: an incident"


def test_a_freeze_that_is_over_holds_nothing() -> None:
    frozen = Usage(freezes=(a_freeze(until=NOON),))
    assert held(a_policy(), a_row(), frozen, NOON) is None
    before = NOON - timedelta(microseconds=1)
    found = held(a_policy(), a_row(), frozen, before)
    assert found is not None
    assert found.until is None  # a person may thaw it any time


def test_what_has_begun_is_stopped_by_a_freeze_alone() -> None:
    busy = Usage(begun=99, rolled_back=99, failures=(NOON,) * 9, same=NOON)
    assert stopped(a_policy(CALENDAR), a_row(), busy, at("2026-12-24 22:00")) is None


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-30 12:00", None),
        ("2026-11-30 07:59", "2026-11-30 08:00"),
        ("2026-11-30 16:00", "2026-12-01 01:00"),  # of two intervals the one that comes first
        ("2026-12-05 12:00", "2026-12-06 01:00"),
        ("2026-07-03 15:00", "2026-07-04 00:00"),  # summer time: 02:00 is 00:00 UTC
        ("2026-03-28 16:00", "2026-03-30 00:00"),  # there is no 02:00 on the 29th: 1 h less in all
    ],
)
def test_outside_of_a_window_the_change_waits_for_the_next_one(now: str, until: str | None) -> None:
    found = held(a_policy(CALENDAR), a_row(), Usage(), at(now))
    if until is None:
        assert found is None
    else:
        assert found is not None
        assert (found.reason, found.until) == ("outside of the window office or night", at(until))


def test_in_a_freeze_of_the_calendar_the_change_waits_for_its_end() -> None:
    found = held(a_policy(CALENDAR), a_row(), Usage(), at("2026-12-23 12:00"))
    assert found is not None
    assert found.reason == "freeze of the calendar, year-end: sales"
    assert found.until == at("2027-01-01 00:00")


@pytest.mark.parametrize("now", ["2026-12-23 12:00", "2026-11-30 22:00"])
def test_the_calendar_holds_what_it_covers_only(now: str) -> None:
    policy = a_policy(CALENDAR)
    assert held(policy, a_row(), Usage(), at(now)) is not None
    for row in (
        a_row(Risk.SAFE),
        a_row(operations=[an_operation(a_target(namespace="pay"))]),
        a_row(operations=[an_operation(a_target(cluster="lab"))]),
    ):
        assert held(policy, row, Usage(), at(now)) is None


def test_the_calendar_of_every_namespace_that_is_touched_counts() -> None:
    places = [an_operation(a_target(namespace=name)) for name in ("pay", "shop")]
    assert held(a_policy(CALENDAR), a_row(operations=places), Usage(), at("2026-12-23 12:00"))


@given(st.integers(0, 30))
def test_ten_changes_an_hour_begin_in_a_cluster(begun: int) -> None:
    found = held(a_policy(), a_row(), Usage(begun=begun), NOON)
    assert (found is None) is (begun < 10)


@given(st.integers(0, 10))
def test_three_roll_backs_in_an_hour_freeze_everything(rolled_back: int) -> None:
    found = held(a_policy(), a_row(), Usage(rolled_back=rolled_back), NOON)
    assert (found is not None and found.freeze_all) is (rolled_back >= 3)


def test_once_frozen_it_is_not_frozen_again() -> None:
    usage = Usage(rolled_back=3, freezes=(a_freeze(),))
    found = held(a_policy(), a_row(), usage, NOON)
    assert found is not None
    assert not found.freeze_all


@pytest.mark.parametrize(
    ("failures", "hours"),
    [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 24), (9, 24)],
)
def test_the_breaker_opens_for_an_hour_and_twice_as_long_each_time(
    failures: int, hours: int
) -> None:
    lately = tuple(NOON - n * HOUR for n in range(failures))
    for minutes, holds in ((0, True), (59, True), (60, False)):
        now = NOON + timedelta(hours=max(hours - 1, 0), minutes=minutes)
        found = held(a_policy(), a_row(), Usage(failures=lately), now)
        assert (found is not None) is (holds and hours > 0)
        assert found is None or found.until == NOON + timedelta(hours=hours)


SPANS = st.timedeltas(timedelta(seconds=1), timedelta(days=400))


@given(
    st.lists(st.datetimes(timezones=st.just(UTC)), max_size=40),
    st.integers(1, 5),
    SPANS,
    SPANS,
)
def test_the_breaker_never_opens_for_longer_than_it_may_and_never_for_less_after_more(
    failures: list[datetime], least: int, first: timedelta, longest: timedelta
) -> None:
    within = [one for one in failures if one.year < 8000]
    breaker = BreakerConfig(failures=least, open=first, open_most=longest)
    spans = []
    for count in range(len(within) + 1):
        some = within[:count]
        until = open_until(breaker, some)
        assert (until is None) is (count < least)
        if until is not None:
            assert open_until(breaker, some[::-1]) == until
            spans.append(until - max(some))
    assert spans == sorted(spans)
    assert all(min(first, longest) <= one <= longest for one in spans)


def test_what_no_person_approved_is_done_again_after_an_hour_at_the_earliest() -> None:
    row = a_row()
    alone = decided(row, said(row, AUTOMATIC + "undo"))
    usage = Usage(same=NOON)
    for now, holds in ((NOON, True), (NOON + HOUR, False)):
        assert (held(a_policy(), alone, usage, now) is not None) is holds
    found = held(a_policy(), alone, usage, NOON)
    assert found is not None
    assert (found.reason, found.until) == ("the same was done to it less than 1h ago", NOON + HOUR)
    assert held(a_policy(), decided(row, said(row, "ada")), usage, NOON) is None


def test_an_adversary_that_undoes_every_fix_for_a_day_gets_one_change_an_hour() -> None:
    policy, row, began, now = a_policy(), a_row(), [NOON - timedelta(days=1)], NOON
    while now < NOON + timedelta(days=1):
        lately = [one for one in began if one > now - HOUR]
        if held(policy, row, Usage(begun=len(lately), same=began[-1]), now) is None:
            began.append(now)
        now += timedelta(minutes=1)
    assert len(began) - 1 == 24


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        ("budgets: {changes_per_hour: 2}", Usage(begun=2)),
        ("budgets: {again: 2h}", Usage(same=NOON - HOUR)),
        ("breaker: {failures: 1}", Usage(failures=(NOON,))),
        ("breaker: {open: 5h}", Usage(failures=(NOON - 4 * HOUR, NOON - 5 * HOUR))),
        ("breaker: {roll_backs_per_hour: 1}", Usage(rolled_back=1)),
    ],
)
def test_the_policy_says_how_much_is_too_much(text: str, usage: Usage) -> None:
    assert held(a_policy(ANYWHERE + text), a_row(), usage, NOON) is not None
    assert held(a_policy(), a_row(), usage, NOON) is None


@given(st.data())
def test_a_hold_tells_of_a_later_instant_or_none(data: st.DataObject) -> None:
    moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda n: NOON + timedelta(minutes=n))
    now = data.draw(moments)
    usage = Usage(
        begun=data.draw(st.integers(0, 12)),
        rolled_back=data.draw(st.integers(0, 4)),
        failures=tuple(data.draw(st.lists(moments, max_size=4))),
        same=data.draw(st.none() | moments),
    )
    fields: dict[str, Any] = {"risk": data.draw(st.sampled_from(list(Risk)))}
    found = held(a_policy(CALENDAR), replace(a_row(**fields)), usage, now)
    assert found is None or found.until is None or found.until > now
