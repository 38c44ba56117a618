"""Who may approve, how many it takes, what counts, and what needs nobody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.changes.policy import (
    AUTOMATIC,
    Place,
    User,
    automatic,
    judge,
    may_decide,
    may_order,
    needed,
)
from engine.model.change import Risk, Verb
from engine.model.change_row import Verdict
from tests.changes.policy.cases import (
    NOON,
    a_policy,
    a_row,
    a_target,
    an_operation,
    decided,
    said,
    user,
)

SHOP_FIRST = """\
approvers:
  - {namespaces: [shop], risks: [safe, disruptive], groups: [shop]}
  - {groups: [sre], risks: [safe, disruptive]}
  - {groups: [sre]}
"""
LABELS = """\
approvers: [{groups: [sre]}]
automatic:
  undo:
    rules: ["cra*"]
    clusters: {names: ["prod-*"], groups: [eu], labels: {env: prod}}
    namespaces: [shop]
    templates: [rollback]
    risk: disruptive
    within: [office]
intervals:
  office: {weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}],
           timezone: Europe/Berlin}
"""


@pytest.mark.parametrize(
    ("risk", "people", "typed"),
    [
        (Risk.SAFE, 1, ""),
        (Risk.DISRUPTIVE, 1, ""),
        (Risk.DESTRUCTIVE, 2, "web"),
        (Risk.LOCKOUT, 2, ""),
    ],
)
def test_the_risk_says_how_many_must_approve_and_what_they_type(
    risk: Risk, people: int, typed: str
) -> None:
    found = needed(a_policy(), a_row(risk))
    assert (found.people, found.typed, found.groups) == (people, typed, ("sre",))


def test_the_policy_may_ask_for_more_people() -> None:
    policy = a_policy("approvers: [{groups: [sre, shop], people: 3}]")
    assert needed(policy, a_row(Risk.SAFE)).people == 3


def test_entries_that_share_a_group_ask_for_as_many_as_the_stricter_one() -> None:
    text = """\
approvers:
  - {namespaces: [pay], groups: [sre, shop], people: 3}
  - {namespaces: [shop], groups: [sre, guests], people: 2}
"""
    row = a_row(operations=[an_operation(a_target(namespace=ns)) for ns in ("shop", "pay")])
    assert needed(a_policy(text), row).people == 3
    row = a_row(operations=[an_operation(a_target(namespace=ns)) for ns in ("pay", "shop")])
    assert needed(a_policy(text), row).people == 3


def test_the_first_entry_that_covers_place_and_risk_counts() -> None:
    policy = a_policy(SHOP_FIRST)
    assert needed(policy, a_row()).groups == ("shop",)
    elsewhere = a_row(operations=[an_operation(a_target(namespace="pay"))])
    assert needed(policy, elsewhere).groups == ("sre",)
    assert needed(policy, a_row(Risk.DESTRUCTIVE)).groups == ("sre",)


def test_an_entry_for_another_cluster_or_namespace_lets_nobody_approve() -> None:
    for text in ("clusters: [lab]", "namespaces: [pay]", "risks: [safe]"):
        policy = a_policy(f"approvers: [{{{text}, groups: [sre]}}]")
        assert needed(policy, a_row()).groups == ()
        assert "lets nobody approve" in may_decide(policy, user(policy, "ada"), a_row())


@pytest.mark.parametrize(
    ("clusters", "covered"),
    [
        ("{groups: [eu]}", True),
        ("{groups: [us]}", False),
        ("{labels: {env: pr*}}", True),
        ("{labels: {env: lab}}", False),
        ("{labels: {tier: a}}", False),
        ("{names: [prod-*], exclude: [prod-eu]}", False),
    ],
)
def test_clusters_are_chosen_by_name_group_and_label(clusters: str, covered: bool) -> None:
    known = {"prod-eu": Place({"env": "prod"}, ("big", "eu")), "us": Place({}, ("us",))}
    policy = a_policy(f"approvers: [{{clusters: {clusters}, groups: [sre]}}]", known)
    assert bool(needed(policy, a_row()).groups) is covered


def test_what_lies_in_no_namespace_is_covered_by_a_star_only() -> None:
    node = a_row(operations=[an_operation(a_target("n1", "", kind="Node"))])
    assert needed(a_policy(), node).groups == ("sre",)
    policy = a_policy("approvers: [{namespaces: ['s*', '?*'], groups: [sre]}]")
    assert needed(policy, node).groups == ()


def test_a_namespace_itself_counts_as_the_one_of_its_name() -> None:
    policy = a_policy(SHOP_FIRST)
    row = a_row(operations=[an_operation(a_target("shop", "", kind="Namespace"))])
    assert needed(policy, row).groups == ("shop",)


def drain() -> tuple[str, ...]:
    return ("shop", "pay")


def test_a_change_in_several_namespaces_needs_the_people_of_each() -> None:
    policy = a_policy(SHOP_FIRST)
    pods = [a_target(f"{ns}-0", ns, kind="Pod") for ns in drain()]
    row = a_row(operations=[an_operation(pod, Verb.EVICT) for pod in pods])
    found = needed(policy, row)
    assert (found.people, found.groups) == (2, ("shop", "sre"))
    one = judge(policy, decided(row, said(row, "cy")), NOON)
    assert (one.verdict, one.reason) == (None, "0 of 1 approvals by sre")
    both = judge(policy, decided(row, said(row, "cy"), said(row, "ada")), NOON)
    assert both.verdict is Verdict.APPROVE


def test_what_only_the_roll_back_touches_counts_as_touched() -> None:
    policy = a_policy("approvers: [{namespaces: [shop], groups: [sre]}]")
    row = a_row(rollback=[an_operation(a_target(namespace="pay"))])
    assert needed(policy, row).groups == ()


def test_a_plan_is_decided_by_nobody() -> None:
    policy = a_policy()
    for verdict in Verdict:
        why = may_decide(policy, user(policy, "bo"), a_row(mode="plan"), verdict)
        assert "a plan only" in why


def test_who_asked_for_the_change_may_deny_it_and_never_approve_it() -> None:
    policy = a_policy()
    for requester in ("ada", "ADA", "ada@example.com"):
        row = a_row(requester=requester)
        assert "asked for this change" in may_decide(policy, user(policy, "ada"), row)
        assert may_decide(policy, user(policy, "ada"), row, Verdict.DENY) == ""
        assert may_decide(policy, user(policy, "bo"), row) == ""
        assert judge(policy, decided(row, said(row, "ada")), NOON).verdict is None


def test_a_user_of_another_group_or_of_an_earlier_policy_may_not_decide() -> None:
    policy = a_policy()
    assert may_decide(policy, user(policy, "cy"), a_row()).endswith("may decide: sre")
    gone = replace(user(policy, "ada"), name="eve")
    assert may_decide(policy, gone, a_row()) == "eve is no user of the policy"
    claims = replace(user(policy, "cy"), groups=("sre",))
    assert may_decide(policy, claims, a_row()) != ""


@pytest.mark.parametrize(
    "who", ["dogwatch", "engine", "model", "rule:crash", "policy:undo", "policy:", "", "ADA"]
)
def test_what_is_no_person_never_approves(who: str) -> None:
    row = a_row()
    assert judge(a_policy(), decided(row, said(row, who)), NOON).verdict is None


def test_one_person_is_never_two() -> None:
    policy, row = a_policy(), a_row(Risk.LOCKOUT)
    twice = decided(row, said(row, "ada"), said(row, "ada", via="slack"))
    assert judge(policy, twice, NOON).reason == "1 of 2 approvals by sre"
    two = judge(policy, decided(row, said(row, "ada"), said(row, "bo")), NOON)
    assert (two.verdict, two.reason) == (Verdict.APPROVE, "approved by ada and bo")


def test_the_typed_name_has_to_be_exact() -> None:
    policy, row = a_policy(), a_row(Risk.DESTRUCTIVE)
    for typed in ("", "Web", "web ", "shop/web", "we"):
        wrong = decided(row, said(row, "ada"), said(row, "bo", typed=typed))
        assert judge(policy, wrong, NOON).verdict is None
    right = decided(row, said(row, "ada"), said(row, "bo"))
    assert judge(policy, right, NOON).verdict is Verdict.APPROVE


def test_a_decision_counts_for_exactly_its_digest_change_and_time() -> None:
    policy = a_policy()
    row = a_row(expires=NOON + timedelta(hours=1))
    assert judge(policy, decided(row, said(row, "ada")), NOON).verdict is Verdict.APPROVE
    for wrong in ({"digest": "0" * 64}, {"change": "c-2"}, {"at": NOON + timedelta(hours=1)}):
        assert judge(policy, decided(row, said(row, "ada", **wrong)), NOON).verdict is None
    other = replace(row, digest="0" * 64)
    assert judge(policy, decided(other, said(other, "ada")), NOON).verdict is None
    blank = replace(row, digest="", change=None)
    assert judge(policy, decided(blank, said(blank, "ada")), NOON).verdict is None


def test_one_denial_of_somebody_who_may_decide_is_enough() -> None:
    policy, row = a_policy(), a_row(Risk.LOCKOUT)
    no = said(row, "bo", Verdict.DENY, comment="not on a Friday", typed="")
    found = judge(policy, decided(row, said(row, "ada"), no), NOON)
    assert (found.verdict, found.reason) == (Verdict.DENY, "denied by bo: not on a Friday")
    guest = decided(row, said(row, "cy", Verdict.DENY))
    assert judge(policy, guest, NOON).verdict is None


def test_a_denial_needs_no_typed_name() -> None:
    policy, row = a_policy(), a_row(Risk.DESTRUCTIVE)
    no = decided(row, said(row, "bo", Verdict.DENY, typed=""))
    assert judge(policy, no, NOON).verdict is Verdict.DENY


def test_who_left_the_group_between_two_approvals_does_not_count() -> None:
    row = a_row(Risk.LOCKOUT)
    both = decided(row, said(row, "ada"), said(row, "di"))
    before = a_policy("approvers: [{groups: [sre, shop]}]")
    assert judge(before, both, NOON).verdict is Verdict.APPROVE
    assert judge(a_policy(), both, NOON).verdict is None


def test_an_automatic_approval_takes_what_all_of_it_is_about() -> None:
    assert automatic(a_policy(LABELS), a_row(), NOON) == "undo"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"rule": "disk"}, "another rule"),
        ({"rule": ""}, "a person's mission"),
        ({"approval": "person"}, "the rule asks for people"),
        ({"template": "scale"}, "another template"),
        ({"change": None}, "not worked out"),
    ],
)
def test_an_automatic_approval_takes_nothing_else(changed: dict[str, str], why: str) -> None:
    assert automatic(a_policy(LABELS), a_row(**changed), NOON) == "", why  # type: ignore[arg-type]


@pytest.mark.parametrize("risk", [Risk.DESTRUCTIVE, Risk.LOCKOUT])
def test_what_needs_two_people_is_never_automatic(risk: Risk) -> None:
    assert automatic(a_policy(LABELS), a_row(risk), NOON) == ""


def test_what_a_person_started_is_never_automatic() -> None:
    policy = a_policy(LABELS.replace('["cra*"]', '["*"]'))
    assert automatic(policy, a_row(), NOON) == "undo"
    assert automatic(policy, a_row(rule=""), NOON) == ""


def test_one_of_several_windows_is_enough() -> None:
    night = '  night: {times: [{start_time: "01:00", end_time: "02:00"}]}\n'
    policy = a_policy(LABELS.replace("within: [office]", "within: [night, office]") + night)
    assert automatic(policy, a_row(), NOON) == "undo"
    assert automatic(policy, a_row(), NOON.replace(hour=1, minute=30)) == "undo"
    assert automatic(policy, a_row(), NOON.replace(hour=3)) == ""


def test_at_most_what_is_safe_is_automatic_unless_stated() -> None:
    policy = a_policy(LABELS.replace("    risk: disruptive\n", ""))
    assert automatic(policy, a_row(), NOON) == ""
    assert automatic(policy, a_row(Risk.SAFE), NOON) == "undo"


def test_an_automatic_approval_keeps_to_its_clusters_and_namespaces() -> None:
    policy = a_policy(LABELS)
    for target in (a_target(namespace="pay"), a_target(cluster="lab"), a_target(cluster="prod-us")):
        assert automatic(policy, a_row(operations=[an_operation(target)]), NOON) == ""
    there = [an_operation(a_target())]
    elsewhere = a_row(operations=there, rollback=[an_operation(a_target(namespace="pay"))])
    assert automatic(policy, elsewhere, NOON) == ""


def test_an_automatic_approval_touches_one_object_unless_the_budget_says_more() -> None:
    row = a_row(operations=[an_operation(a_target(name)) for name in ("web", "api")])
    assert automatic(a_policy(LABELS), row, NOON) == ""
    assert automatic(a_policy(LABELS + "budgets: {automatic_objects: 2}\n"), row, NOON) == "undo"


@pytest.mark.parametrize(
    ("at", "taken"),
    [
        ("2026-12-01 07:59:59", False),
        ("2026-12-01 08:00:00", True),
        ("2026-12-01 16:00:00", False),
        ("2026-12-05 12:00:00", False),  # a Saturday
        ("2026-07-01 07:00:00", True),  # summer time
        ("2026-03-27 07:59:59", False),  # before and after the clock changes
        ("2026-03-30 07:00:00", True),
    ],
)
def test_an_automatic_approval_keeps_to_its_window_in_local_time(at: str, taken: bool) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert bool(automatic(a_policy(LABELS), a_row(), now)) is taken


def test_a_decision_of_the_policy_counts_while_the_policy_says_so() -> None:
    policy, row = a_policy(LABELS), a_row()
    by_policy = decided(row, said(row, AUTOMATIC + "undo", via="policy"))
    found = judge(policy, by_policy, NOON)
    assert (found.verdict, found.reason) == (Verdict.APPROVE, "approved by policy:undo")
    assert judge(policy, by_policy, NOON.replace(hour=22)).verdict is None
    assert judge(a_policy(), by_policy, NOON).verdict is None
    other = decided(row, said(row, AUTOMATIC + "other", via="policy"))
    assert judge(policy, other, NOON).verdict is None


@pytest.mark.parametrize(
    ("clusters", "may"),
    [
        (["lab"], {"ada", "bo", "cy", "di"}),
        (["prod-eu"], {"ada", "bo"}),
        (["lab", "prod-eu"], {"ada", "bo"}),
        (None, {"ada", "bo"}),
        ([], {"ada", "bo", "cy", "di"}),
        (["elsewhere"], set[str]()),
    ],
)
def test_orders_are_given_by_who_approves_in_all_clusters_concerned(
    clusters: list[str] | None, may: set[str]
) -> None:
    policy = a_policy(
        "approvers:\n"
        "  - {clusters: [lab], risks: [safe], groups: [shop, sre]}\n"
        "  - {clusters: [prod-eu], namespaces: [shop], groups: [sre]}\n"
    )
    assert {
        one.name for one in policy.users.values() if not may_order(policy, one, clusters)
    } == may


def test_who_left_the_policy_orders_nothing() -> None:
    assert "no user of the policy" in may_order(a_policy(), User("eve", ("sre",)), ["lab"])
