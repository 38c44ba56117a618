"""Who somebody is by what they show; how long things take; whom one may ask."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.changes.policy import (
    Timing,
    timing,
    user_named,
    user_of_email,
    user_of_slack,
    user_of_subject,
    user_of_token,
)
from engine.changes.policy.policy import Policy, User
from engine.changes.policy.question import sentences, who
from engine.model.change import Risk
from tests.changes.policy.cases import ANYWHERE, CLUSTERS, GOOD, NOON, TOKEN, a_policy, a_row


def name(user: User | None) -> str:
    return "" if user is None else user.name


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (TOKEN, "ada"),
        (TOKEN + " ", ""),
        (TOKEN[:-1], ""),
        ("", ""),
        ("\udcff", ""),
        ("x" * 9999, ""),
    ],
)
def test_a_token_is_known_by_its_hash(shown: str, found: str) -> None:
    assert name(user_of_token(a_policy(), shown)) == found


def test_the_hash_of_a_token_is_no_token() -> None:
    policy = a_policy()
    assert user_of_token(policy, policy.users["ada"].token_sha256) is None
    assert policy.users["ada"].token_sha256 not in repr(policy.users["ada"])


@pytest.mark.parametrize(
    ("team", "user", "found"),
    [("T01", "U01", "ada"), ("T02", "U01", ""), ("T01", "U02", ""), ("", "", ""), ("T01", "", "")],
)
def test_a_member_of_slack_is_known_by_team_and_id(team: str, user: str, found: str) -> None:
    assert name(user_of_slack(a_policy(), team, user)) == found


@pytest.mark.parametrize(
    ("address", "found"),
    [("ada@example.com", "ada"), ("BO@EXAMPLE.COM", "bo"), ("", ""), ("eve@example.com", "")],
)
def test_an_address_is_known_whatever_its_case(address: str, found: str) -> None:
    assert name(user_of_email(a_policy(), address)) == found


def test_a_subject_and_a_name_are_known_exactly() -> None:
    policy = a_policy()
    assert name(user_of_subject(policy, "idp|bo")) == "bo"
    assert user_of_subject(policy, "IDP|bo") is None
    assert user_of_subject(policy, "") is None
    assert name(user_named(policy, "cy")) == "cy"
    assert user_named(policy, "eve") is None


def test_a_user_has_the_groups_that_name_them() -> None:
    assert a_policy().users["di"].groups == ("shop", "guests")


@pytest.mark.parametrize(
    ("risk", "expires"),
    [(Risk.SAFE, 14400), (Risk.DISRUPTIVE, 14400), (Risk.DESTRUCTIVE, 14400), (Risk.LOCKOUT, 900)],
)
def test_a_decision_may_take_four_hours_and_a_quarter_of_one_where_one_is_locked_out(
    risk: Risk, expires: float
) -> None:
    assert timing(a_policy(), a_row(risk)) == Timing(expires, 600, (0.5, 0.9))


def test_before_its_risk_is_known_a_change_waits_the_shortest_time() -> None:
    assert timing(a_policy(), a_row(change=None)).expires_s == 900


TIMES = """\
expiry: {safe: 1d, lockout-capable: 5m}
verification: {window: 5m, risks: {safe: 1m}, templates: {drain: 20m}}
reminders: [0.9, 0.25, 0.9]
"""


@pytest.mark.parametrize(
    ("risk", "template", "times"),
    [
        (Risk.SAFE, "scale", (86400, 60)),
        (Risk.SAFE, "drain", (86400, 1200)),
        (Risk.DISRUPTIVE, "scale", (14400, 300)),
        (Risk.LOCKOUT, "drain", (300, 1200)),
    ],
)
def test_the_policy_sets_times_by_risk_and_template(
    risk: Risk, template: str, times: tuple[float, float]
) -> None:
    found = timing(a_policy(ANYWHERE + TIMES), a_row(risk, template=template))
    assert (found.expires_s, found.window_s) == times
    assert found.reminders == (0.25, 0.9)


def of_the_page() -> Policy:
    return a_policy(GOOD, people="")


def test_the_policy_answers_who_may_approve() -> None:
    policy = of_the_page()
    answer = who(policy, ("prod-eu", "shop"), Risk.SAFE, NOON)
    assert (answer.people, answer.groups, answer.members) == (1, ("shop",), {"cy": ("slack",)})
    assert list(sentences(answer, Risk.SAFE)) == ["1 person of shop", "  cy, by slack"]


def test_the_answer_names_the_calendar_what_is_typed_and_what_needs_nobody() -> None:
    policy = of_the_page()
    late = who(policy, ("prod-eu", "shop"), Risk.DESTRUCTIVE, NOON.replace(hour=20))
    assert list(sentences(late, Risk.DESTRUCTIVE)) == [
        "3 distinct persons of sre or shop, each typing the name of the object",
        "  ada, by email, slack, token, oidc",
        "  bo, by email",
        "  cy, by slack",
        "nothing begins now: outside of the window office, until 2026-12-02T08:00:00Z",
    ]
    lab = who(policy, ("lab", "team-a"), Risk.SAFE, NOON)
    assert list(sentences(lab, Risk.SAFE)) == [
        "nobody may approve what is safe there",
        "without a person: labels, for its rules and templates",
    ]


def test_the_answer_says_where_nothing_is_ever_changed() -> None:
    policy = of_the_page()
    assert who(policy, ("prod-eu", "kube-public"), Risk.SAFE, NOON).never == ""
    for place, never in (
        (("prod-eu", "kube-system"), "namespace kube-system is protected"),
        (("prod-us", "shop"), "cluster prod-us is not in the configuration"),
    ):
        answer = who(policy, place, Risk.SAFE, NOON)
        assert list(sentences(answer, Risk.SAFE)) == [f"never: {never}"]


def test_the_answer_is_of_the_instant_asked_for() -> None:
    policy = replace(of_the_page(), clusters=CLUSTERS)
    christmas = datetime(2026, 12, 24, 12, tzinfo=UTC)
    answer = who(policy, ("prod-eu", "shop"), Risk.SAFE, christmas)
    assert answer.closed == "freeze of the calendar, year-end: sales"
    assert answer.until == datetime(2027, 1, 1, tzinfo=UTC)
