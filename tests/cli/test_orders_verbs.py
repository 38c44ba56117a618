"""Deciding at the command line: what is shown, who may, what is kept; on both stores."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.model.change import Risk
from engine.model.change_row import Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.errors import ConfigError, DogwatchError, Refused
from engine.model.mission import MissionState
from engine.model.ports import SystemClock
from tests.app.office import ANN_TOKEN, BOB_TOKEN, DIFF, Office, an_office, offices
from tests.store.changes_of import a_target
from tests.store.rows import a_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    yield from offices(request, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Office]:
    made = an_office(tmp_path)
    yield made
    made.close()


def call(office: Office, *words: str, token: str = ANN_TOKEN, keys: str = "") -> Result:
    environ = {"DOGWATCH_TOKEN": token}
    whole = [*words, "--config", str(office.config)]
    return CliRunner().invoke(app, whole, env=environ, input=keys)


def test_approve_shows_the_diff_asks_and_keeps_who_said_so(office: Office) -> None:
    (row,) = office.ask("web")
    done = call(office, "mission", "approve", "m-1", "--comment", "go", keys="y\n")
    assert done.exit_code == 0, done.output
    assert done.output.index("+replicas: 3") < done.output.index("Approve?")
    assert "2 more pods" in done.output
    after = office.scene.at(row.id)
    assert after.state is ChangeState.APPROVED
    (decision,) = after.decisions
    assert (decision.who, decision.via, decision.verdict) == ("ann", "cli", Verdict.APPROVE)
    assert (decision.digest, decision.comment) == (row.digest, "go")
    assert office.store.audit(change=row.id)[-1].actor == "ann"
    assert office.store.verify_audit().fault == ""


def test_no_means_no(local: Office) -> None:
    (row,) = local.ask("web")
    for keys in ("n\n", ""):
        assert call(local, "mission", "approve", "m-1", keys=keys).exit_code == 1
    assert local.scene.at(row.id).decisions == ()


def test_reject_denies(office: Office) -> None:
    (row,) = office.ask("web")
    assert call(office, "mission", "reject", row.id, "--yes").exit_code == 0
    assert office.scene.at(row.id).state is ChangeState.REJECTED
    done = call(office, "mission", "approve", "m-1", "--yes")
    assert isinstance(done.exception, DogwatchError)
    assert "no change waits for a decision; --change N takes one: 1 (rejected)" in str(
        done.exception
    )


def test_of_several_changes_one_is_chosen(local: Office) -> None:
    local.ask("web", "db")
    done = call(local, "mission", "approve", "m-1", "--yes")
    assert "more than one change waits; --change N takes one" in str(done.exception)
    assert call(local, "mission", "approve", "m-1", "--change", "2", "--yes").exit_code == 0
    states = [local.scene.at(one).state for one in ("c-web", "c-db")]
    assert states == [ChangeState.AWAITING, ChangeState.APPROVED]
    done = call(local, "mission", "approve", "m-1", "--change", "3", "--yes")
    assert "there are 1 to 2" in str(done.exception)


def test_what_is_destructive_asks_for_its_name_even_with_yes(local: Office) -> None:
    (row,) = local.ask("web", risk=Risk.DESTRUCTIVE)
    done = call(local, "mission", "approve", "m-1", "--yes", keys="wed\n")
    assert isinstance(done.exception, Refused)
    assert local.scene.at(row.id).decisions == ()
    done = call(local, "mission", "approve", "m-1", "--yes", keys="web\n")
    assert "Still missing" in done.output  # a second person
    assert local.scene.at(row.id).decisions[0].typed == "web"


def test_while_a_second_person_is_needed_the_others_hear_who_approved(local: Office) -> None:
    local.ask("web", risk=Risk.DESTRUCTIVE)
    call(local, "mission", "approve", "m-1", "--yes", "--typed", "web")
    (told,) = local.store.due("out", SystemClock().now())
    assert told.change is Occasion.REMINDER
    assert told.ask is not None
    assert (told.ask.approved_by, told.ask.needed) == (["ann"], 2)


def test_what_is_decided_is_told(local: Office) -> None:
    local.ask("web")
    call(local, "mission", "approve", "m-1", "--yes")
    (told,) = local.store.due("out", SystemClock().now())
    assert told.change is Occasion.CHANGE


def test_who_is_in_no_group_or_nobody_decides_nothing(local: Office, tmp_path: Path) -> None:
    (row,) = local.ask("web")
    for token, why in ((BOB_TOKEN, "bob is in none of the groups"), ("x", "token of no user")):
        done = call(local, "mission", "approve", "m-1", "--yes", token=token)
        assert isinstance(done.exception, Refused)
        assert why in str(done.exception)
    done = call(local, "mission", "approve", "m-1", "--yes", token="")
    assert "who are you?" in str(done.exception)
    file = tmp_path / "token"
    file.write_text(f"{ANN_TOKEN}\n")
    given = ("--token-file", str(file))
    assert local.scene.at(row.id).decisions == ()
    assert call(local, "mission", "approve", "m-1", "--yes", *given, token="").exit_code == 0


def test_without_a_good_policy_nobody_decides(local: Office, tmp_path: Path) -> None:
    (row,) = local.ask("web")
    (tmp_path / "policy.yaml").write_text("users: [")
    done = call(local, "mission", "approve", "m-1", "--yes")
    assert isinstance(done.exception, ConfigError)
    assert local.scene.at(row.id).decisions == ()


def test_a_change_that_expired_is_not_approved(local: Office) -> None:
    (row,) = local.ask("web", hours=-1)
    done = call(local, "mission", "approve", "m-1", "--yes")
    assert isinstance(done.exception, Refused)
    assert local.scene.at(row.id).state is ChangeState.EXPIRED


def test_cancel_ends_a_mission_and_denies_its_changes(office: Office) -> None:
    (row,) = office.ask("web")
    done = call(office, "mission", "cancel", "m-1")
    assert done.output == "m-1: incident-response is cancelled\n"
    assert office.scene.at(row.id).state is ChangeState.REJECTED
    again = call(office, "mission", "cancel", "m-1")
    assert "cancelled already" in str(again.exception)
    resumed = call(office, "mission", "resume", "m-1")
    assert isinstance(resumed.exception, Refused)


def test_show_and_list_tell_of_changes_and_decisions(local: Office) -> None:
    local.ask("web")
    call(local, "mission", "approve", "m-1", "--yes", "--comment", "go")
    shown = call(local, "mission", "show", "m-1").output
    assert "1  scale web to 3 is approved" in shown
    assert "ann said approve via cli" in shown
    listed = call(local, "mission", "list", "--state", "waiting", "-o", "json")
    assert [one["id"] for one in json.loads(listed.output)] == ["m-1"]


def test_watch_tells_each_move_until_the_end(local: Office) -> None:
    local.ask("web")
    local.store.cancel_mission("m-1", "ann", SystemClock().now())
    done = call(local, "mission", "watch", "m-1", "-o", "json")
    assert done.exit_code == 1
    (last,) = [json.loads(line) for line in done.output.splitlines()]
    assert (last["state"], last["changes"][0]["state"]) == ("cancelled", "rejected")


def test_a_mission_is_queued_in_the_name_of_who_asks(office: Office) -> None:
    words = ("mission", "run", "incident-response", "--cluster", "east", "--queue")
    done = call(office, *words, "--mode", "apply")
    assert done.exit_code == 0, done.exception
    (row,) = office.store.missions(states=[MissionState.QUEUED])
    assert (row.requester, row.mode, row.clusters) == ("ann", "apply", ("east",))
    assert row.id in done.output
    wrong = call(office, "mission", "run", "incident-response", "--cluster", "west", "--queue")
    assert "known: east" in str(wrong.exception)


def test_a_mode_without_queue_is_refused(local: Office) -> None:
    words = ("mission", "run", "incident-response", "--cluster", "east", "--mode", "apply")
    assert "goes with --queue" in str(call(local, *words).exception)


def test_freeze_and_thaw(office: Office) -> None:
    done = call(office, "freeze", "--cluster", "east", "--for", "2h", "--reason", "release")
    assert done.exit_code == 0, done.exception
    (frozen,) = json.loads(call(office, "freezes", "-o", "json").output)
    assert (frozen["scope"], frozen["who"], frozen["reason"]) == ("cluster/east", "ann", "release")
    assert "cluster/east" in call(office, "freezes").output
    assert call(office, "thaw").exit_code == 1
    assert call(office, "thaw", "--cluster", "east").exit_code == 0
    assert call(office, "freezes").output == "nothing is frozen\n"
    assert [one.to for one in office.store.audit()][-2:] == ["frozen", "thawed"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--for", "soon"), "--for"),
        (("--for", "0s"), "--for"),
        (("--cluster", "west"), "no cluster 'west'; known: east"),
    ],
)
def test_a_freeze_of_nothing_is_refused(local: Office, words: tuple[str, ...], why: str) -> None:
    done = call(local, "freeze", "--reason", "x", *words)
    assert why in str(done.exception)
    assert local.store.freezes(SystemClock().now()) == []


def test_a_freeze_without_a_reason_is_none_and_a_second_one_makes_none_shorter(
    local: Office,
) -> None:
    assert "say why" in str(call(local, "freeze", "--reason", " ").exception)
    assert call(local, "freeze", "--reason", "x", "--for", "1h").exit_code == 0
    assert call(local, "freeze", "--reason", "y").exit_code == 0
    shorter = call(local, "freeze", "--reason", "z", "--for", "2h")
    assert "all is frozen by you until somebody thaws it" in str(shorter.exception)
    (frozen,) = local.store.freezes(SystemClock().now())
    assert (frozen.reason, frozen.until) == ("y", None)


def test_what_is_not_there_is_said_plainly(local: Office) -> None:
    local.store.add_mission(replace(a_run("m-2"), clusters=("east",)))
    done = call(local, "mission", "approve", "m-2", "--yes")
    assert str(done.exception) == "mission m-2 proposes no changes: there is nothing to decide"
    lost = call(local, "mission", "approve", "m-2", "--token-file", "nope")
    assert str(lost.exception) == "--token-file: there is no file nope"


def test_the_audit_is_listed_and_its_chain_checked(office: Office) -> None:
    office.ask("web")
    call(office, "mission", "approve", "m-1", "--yes")
    entries = json.loads(call(office, "audit", "list", "-o", "json").output)
    assert [one["to"] for one in entries][-1] == "approved"
    assert call(office, "audit", "list", "--change", "c-none").output == "nothing yet\n"
    done = call(office, "audit", "verify")
    assert (done.exit_code, f"{len(entries)} entries" in done.output) == (0, True)
    with office.store.write() as connection:
        connection.exec_driver_sql("update audit set actor = 'eve' where seq = 2")
    broken = call(office, "audit", "verify")
    assert broken.exit_code == 1
    assert "the chain is broken: entry 2" in broken.output


def test_text_of_a_cluster_steers_no_terminal(local: Office) -> None:
    hostile = a_target("web\x1b[2J\u202e")
    local.ask(hostile.name, diff=f"{DIFF}+\x1b]0;owned\x07\u202e\n")
    shown = call(local, "mission", "approve", "m-1", keys="n\n").output
    assert "\x1b" not in shown
    assert "\u202e" not in shown
