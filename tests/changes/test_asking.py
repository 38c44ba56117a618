"""Who is told of a change that waits, how often, and in how many messages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.changes import probes
from engine.changes.asking import (
    DIGEST_EVERY,
    OPEN,
    SETTLED,
    ask_of,
    asked_again,
    asks,
    digest_of,
)
from engine.changes.policy import Needed
from engine.changes.record import WAVE
from engine.model.change import Change, Draft, Operation, Probe, Risk, Target, Verb
from engine.model.change_row import ChangeRow, Decision, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.report import Evidence
from engine.report import subject, to_blocks, to_plain, words

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
URL = "https://dogwatch.example.com"
NEEDED = Needed(1, "", ("sre",))


def an_operation(wave: int = 0, name: str = "web") -> Operation:
    target = Target(
        cluster="prod",
        cluster_uid="u-cluster",
        api_version="apps/v1",
        kind="Deployment",
        resource="deployments.apps",
        namespace="shop",
        name=name,
        uid=f"u-{name}",
    )
    return Operation(
        verb=Verb.PATCH,
        target=target,
        patch={"spec": {"replicas": 3}},
        before={"spec": {"replicas": 1}},
        after={"spec": {"replicas": 3}},
        wave=wave,
    )


def a_change_of(draft: Draft, **changes: Any) -> Change:
    values: dict[str, Any] = {
        "draft": draft,
        "risk": Risk.DISRUPTIVE,
        "reversible": "yes",
        "why_reversible": "the present count is put back",
        "operations": [an_operation()],
        "probes": [Probe(name="rollout"), Probe(name="finding")],
        "rollback": [an_operation()],
        "diff": "-replicas: 1\n+replicas: 3",
        "lines": ["replicas 1 -> 3"],
        "blast": "2 more pods",
    }
    return Change.model_validate(values | changes)


def a_row(number: int = 1, body: dict[str, Any] | None = None, **changes: Any) -> ChangeRow:
    draft = Draft(
        id=f"c-{number:020d}",
        template="scale",
        target=an_operation().target.ref,
        title=f"Scale web to {number}",
        why="1 of 3 pods cannot serve the load",
        evidence=[Evidence(id="e1", source="HPA shop/web", value="300 % of the target")],
        kind="incident-response",
    )
    change = a_change_of(draft, **(body or {}))
    values: dict[str, Any] = {
        "id": draft.id,
        "mission": "m-1",
        "draft": draft,
        "created": NOON + timedelta(seconds=number),
        "rule": "web-down",
        "firing": "f-1",
        "change": change,
        "digest": change.digest,
        "state": ChangeState.AWAITING,
        "sinks": ("team", "mail"),
        "requester": "rule:web-down",
        "expires": NOON + timedelta(hours=4),
    }
    return ChangeRow(**(values | changes))


def test_each_sink_is_asked_once_with_all_that_a_decision_needs() -> None:
    told = asks(a_row(), Occasion.APPROVAL, NOON, url=URL, needed=NEEDED)
    assert [one.sink for one in told] == ["team", "mail"]
    assert len({one.key for one in told}) == 2
    first = told[0]
    assert first.ask is not None
    assert (first.incident, first.mission, first.change) == ("f-1", "m-1", Occasion.APPROVAL)
    assert (first.ask.change, first.ask.digest) == (a_row().id, a_row().digest)
    assert first.ask.url == f"{URL}/changes/{a_row().id}"
    assert first.ask.why == "1 of 3 pods cannot serve the load"
    assert [one.id for one in first.ask.evidence] == ["e1"]
    assert first.ask.groups == ["sre"]
    assert first.applied is None


def test_the_same_call_gives_the_same_keys_and_each_reminder_has_its_own() -> None:
    def keys(occasion: Occasion, minutes: int = 0) -> list[str]:
        now = NOON + timedelta(minutes=minutes)
        return [one.key for one in asks(a_row(), occasion, now, url=URL, needed=NEEDED)]

    assert keys(Occasion.APPROVAL) == keys(Occasion.APPROVAL, 30)
    assert keys(Occasion.REMINDER, 120) == keys(Occasion.REMINDER, 120)
    assert len({*keys(Occasion.APPROVAL), *keys(Occasion.REMINDER, 120)}) == 4
    assert not set(keys(Occasion.REMINDER, 120)) & set(keys(Occasion.REMINDER, 216))


@pytest.mark.parametrize("state", ["approved", "verified", "rolled-back", "needs-human", "expired"])
def test_a_decision_and_an_end_are_told_once_each_and_ask_nothing(state: str) -> None:
    row = a_row(state=ChangeState(state), reason="because")
    waiting = [a_row(number) for number in range(9)]
    told = asks(row, Occasion.CHANGE, NOON, url=URL, needed=NEEDED, waiting=waiting)
    assert [one.sink for one in told] == ["team", "mail"]
    assert all(one.ask is None for one in told)
    assert all(one.applied is not None and one.applied.state == state for one in told)
    denied = a_row(state=ChangeState.REJECTED)
    other = asks(denied, Occasion.CHANGE, NOON, url=URL, needed=NEEDED)
    assert not {one.key for one in told} & {one.key for one in other}


def test_five_requests_are_five_messages_and_the_sixth_makes_a_digest() -> None:
    rows = [a_row(number) for number in range(1, OPEN + 2)]
    fifth = asks(rows[4], Occasion.APPROVAL, NOON, url=URL, needed=NEEDED, waiting=rows[:5])
    assert all(one.ask is not None and not one.ask.more for one in fifth)
    sixth = asks(rows[5], Occasion.APPROVAL, NOON, url=URL, needed=NEEDED, waiting=rows)
    assert [one.sink for one in sixth] == ["team", "mail"]
    ask = sixth[0].ask
    assert ask is not None
    assert ask.change == rows[0].id
    assert len(ask.more) == 5
    assert rows[5].id in ask.more[-1]
    assert ask.url == f"{URL}/approvals"


def test_only_what_waits_at_the_same_sink_is_counted() -> None:
    others = [a_row(number, sinks=("mail",)) for number in range(2, 9)]
    team, mail = asks(a_row(), Occasion.APPROVAL, NOON, url=URL, needed=NEEDED, waiting=others)
    assert team.ask is not None
    assert not team.ask.more
    assert mail.ask is not None
    assert len(mail.ask.more) == 7


def test_a_storm_of_requests_is_a_few_messages() -> None:
    rows = [a_row(number, sinks=("team",)) for number in range(1, 101)]
    keys = {
        one.key
        for count in range(1, 101)
        for one in asks(
            rows[count - 1], Occasion.APPROVAL, NOON, url=URL, needed=NEEDED, waiting=rows[:count]
        )
    }
    assert len(keys) <= OPEN + 5


@pytest.mark.parametrize(
    ("count", "apart_s", "most"), [(14, 20, 12), (100, 0, 12), (60, 30, 30), (9, 239, 20)]
)
@pytest.mark.parametrize("start_s", [0, 100, 179, 181, 239])
def test_each_request_is_named_in_a_message_within_five_minutes(
    count: int, apart_s: int, most: int, start_s: int
) -> None:
    """Each is asked when it comes, and asked again; the store takes each key once."""
    first = NOON + timedelta(seconds=start_s)
    rows = [
        a_row(number, sinks=("team",), created=first + timedelta(seconds=number * apart_s))
        for number in range(count)
    ]
    moments = sorted(
        (at, number)
        for number, row in enumerate(rows)
        for at in (row.created, asked_again(row.created))
    )
    sent: dict[str, tuple[datetime, str]] = {}
    for at, number in moments:
        # Of those that come at one instant each sees only those before it.
        waiting = [row for row in rows[: number + 1] if row.created == at]
        waiting += [row for row in rows if row.created < at]
        for one in asks(
            rows[number], Occasion.APPROVAL, at, url=URL, needed=NEEDED, waiting=waiting
        ):
            assert one.ask is not None
            sent.setdefault(one.key, (at, " ".join([one.ask.change, *one.ask.more])))
    for row in rows:
        named = [at for at, text in sent.values() if row.id in text]
        assert min(named) - row.created <= DIGEST_EVERY + SETTLED, row.id
    assert len(sent) <= most
    assert timedelta(minutes=5) == DIGEST_EVERY + SETTLED


def test_a_later_digest_is_a_message_of_its_own() -> None:
    rows = [a_row(number) for number in range(1, 8)]
    now, later = (
        digest_of(rows, NOON + timedelta(minutes=m), sink="team", url=URL, needed=NEEDED)
        for m in (0, 6)
    )
    assert now.key != later.key
    assert now.incident == later.incident


def test_what_follows_is_said_as_the_change_has_it() -> None:
    waves = [an_operation(), an_operation(1, "cart"), an_operation(2, "search")]
    then = ask_of(a_row(body={"operations": waves}), NOON, url="", needed=NEEDED).then
    assert "3 waves, Deployment shop/web first" in then[1]
    assert "verified for 10m: the roll-out completes, what was found is gone" in then[2]
    assert "rolled back by itself" in then[3]
    stays = ask_of(a_row(body={"rollback": [], "probes": []}), NOON, url="", needed=NEEDED).then
    assert "Nothing can verify it." in stays
    assert "a person has to go on" in stays[-1]


def test_what_may_lock_out_is_asked_for_once_more_and_on_its_own_when_it_was_applied() -> None:
    row = a_row(body={"risk": Risk.LOCKOUT}, state=ChangeState.APPLYING)
    waiting = [a_row(number) for number in range(2, 20)]
    two = Needed(2, "", ("sre",))
    told = asks(row, Occasion.REMINDER, NOON, url=URL, needed=two, waiting=waiting)
    ask = told[0].ask
    assert ask is not None
    assert (ask.confirm, ask.needed, ask.more) == (True, 1, [])
    assert ask.expires == NOON + timedelta(minutes=10)
    assert "rolls it back" in ask.then[-1]
    assert subject(told[0]).startswith("[confirm? lockout-capable]")
    assert "without a word of yours it is rolled back" in " ".join(to_plain(told[0]).split())
    labels = [one["text"]["text"] for one in to_blocks(told[0], buttons=True)[-1]["elements"]]
    assert labels == ["Let it stay", "Roll it back"]


def test_each_check_has_words() -> None:
    assert set(words.PROBES) == {*probes.PROBES, WAVE}


def test_the_second_person_sees_who_approved_and_what_has_to_be_typed() -> None:
    word = Decision(change="c", digest="d", who="ada", verdict=Verdict.APPROVE, via="web", at=NOON)
    row = a_row(body={"risk": Risk.DESTRUCTIVE}, decisions=(word,))
    ask = ask_of(row, NOON, url="", needed=Needed(2, "web", ("sre",)))
    assert (ask.approved_by, ask.needed, ask.typed, ask.url) == (["ada"], 2, "web", "")
