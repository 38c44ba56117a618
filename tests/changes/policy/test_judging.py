"""Whatever decisions come, in whatever order: the verdict is what a plain count of them says."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.changes.policy import judge
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Decision, Verdict
from tests.changes.policy.cases import NOON, a_policy, a_row, decided

LEAST = {Risk.SAFE: 1, Risk.DISRUPTIVE: 1, Risk.DESTRUCTIVE: 2, Risk.LOCKOUT: 2}
WHO = ["ada", "bo", "cy", "di", "eve", "engine", "model", "rule:crash", "policy:undo", ""]
TWO_TEAMS = a_policy("approvers: [{groups: [sre, shop]}]\n")
MEMBERS = {"ada", "bo", "cy", "di"}


@st.composite
def rows(draw: st.DrawFn) -> ChangeRow:
    """Draw a change with decisions, most of which are wrong in some way."""
    row = a_row(
        draw(st.sampled_from(list(Risk))),
        requester=draw(st.sampled_from(["rule:crash", "ada", "cy@example.com"])),
        expires=NOON + timedelta(hours=4),
    )
    return decided(row, *draw(st.lists(decisions(row), max_size=6)))


@st.composite
def decisions(draw: st.DrawFn, row: ChangeRow) -> Decision:
    return Decision(
        change=draw(st.sampled_from(["c-1", "c-1", "c-1", "c-2"])),
        digest=draw(st.sampled_from([row.digest, row.digest, row.digest, "0" * 64, ""])),
        who=draw(st.sampled_from(WHO)),
        verdict=draw(st.sampled_from([Verdict.APPROVE, Verdict.APPROVE, Verdict.DENY])),
        via=draw(st.sampled_from(["web", "slack", "policy"])),
        at=NOON + timedelta(hours=draw(st.sampled_from([0, 1, 3, 4, 9]))),
        typed=draw(st.sampled_from(["web", "web", "", "api"])),
    )


def sound(row: ChangeRow, one: Decision) -> bool:
    timely = row.expires is not None and one.at < row.expires
    return one.change == "c-1" and one.digest == row.digest and timely and one.who in MEMBERS


def expected(row: ChangeRow) -> Verdict | None:
    """Return the verdict by the words of the table of risks."""
    assert row.change is not None
    risk, asked = row.change.risk, row.requester.split("@")[0]
    heard = [one for one in row.decisions if sound(row, one)]
    if any(one.verdict is Verdict.DENY for one in heard):
        return Verdict.DENY
    typed = "web" if risk is Risk.DESTRUCTIVE else ""
    people = {one.who for one in heard if one.typed == typed and one.who != asked}
    return Verdict.APPROVE if len(people) >= LEAST[risk] else None


@given(rows())
def test_the_verdict_is_what_a_plain_count_says(row: ChangeRow) -> None:
    found = judge(TWO_TEAMS, row, NOON)
    assert found.verdict is expected(row)
    assert found.reason


@given(rows(), st.data())
def test_the_order_of_decisions_and_saying_it_twice_change_nothing(
    row: ChangeRow, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*row.decisions, *row.decisions]))
    assert judge(TWO_TEAMS, decided(row, *shuffled), NOON).verdict is expected(row)
