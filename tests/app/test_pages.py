"""The pages over a real store: what they show of it, and a decision that goes all the way."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.app.acting import StoredOrders
from engine.app.deciding import Desk, told_of
from engine.app.pages import StoredPages
from engine.app.pages_changes import change_view
from engine.app.policy_file import read_policy
from engine.app.rule_files import check_texts
from engine.model.change import Operation, Risk, Verb
from engine.model.change_row import Step, Verdict
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.delivery import Occasion
from engine.model.errors import DogwatchError, Refused
from engine.model.firing import State
from engine.model.moved import Tell, nobody
from engine.model.ports import SystemClock
from engine.web.ports import Order, People, Targets
from tests.app.office import ANN_TOKEN, Office, an_office, offices
from tests.store.changes_of import a_target, a_write
from tests.store.rows import NOON, Hand, a_commit, a_dead_letter, a_transition
from tests.testbeds.browser import start_browser
from tests.web.served import PICTURES, an_app, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.changes.policy import Policy, User
    from engine.model.change_row import ChangeRow
    from engine.model.delivery import Delivery

RULES = {
    "a.yaml": b"""
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: shop}
spec:
  rules:
    - name: crash-loop
      on: [{type: k8s.event}]
      when: signal.data.reason == "BackOff"
      by: [cluster]
      annotations: {summary: "{{ key.cluster }}", description: A container restarts.}
"""
}


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    yield from offices(request, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Office]:
    made = an_office(tmp_path)
    yield made
    made.close()


def policy_of(office: Office) -> Policy:
    return read_policy(office.settings.changes.policy_file or "", office.settings)


def pages_of(office: Office) -> StoredPages:
    return StoredPages(
        office.store,
        office.settings,
        SystemClock(),
        policy=lambda: policy_of(office),
        problems=lambda: {"east": "no route"},
    )


def user(office: Office, name: str = "ann") -> User:
    return policy_of(office).users[name]


def orders_of(office: Office, tell: Tell = nobody) -> StoredOrders:
    return StoredOrders(
        office.store, office.settings, SystemClock(), tell, lambda: policy_of(office)
    )


def people_of(office: Office) -> People:
    clock = SystemClock()
    desk = Desk(office.store, lambda: policy_of(office), lambda _: (), clock)
    orders = orders_of(office)
    return People(desk, pages_of(office), orders, clock, b"k" * 32)


async def test_a_change_is_decided_in_the_page_and_the_store_has_it(office: Office) -> None:
    (row,) = office.ask("web")
    transport = httpx.ASGITransport(an_app(people_of(office)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        form = re.findall(r'name="form" value="(\w+)"', (await client.get("/login")).text)[0]
        await client.post("/login", data={"form": form, "token": ANN_TOKEN})
        for path in ("/", "/approvals", "/missions", "/missions/m-1", "/clusters", "/audit"):
            assert (await client.get(path)).status_code == 200, path
        page = (await client.get("/changes/c-web")).text
        assert "replicas 1 -&gt; 3" in page
        form = re.findall(r'name="form" value="(\w+)"', page)[0]
        sent = {"form": form, "digest": row.digest, "verdict": "approve"}
        answer = await client.post("/changes/c-web/decision", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, "/changes/c-web")
        late = await client.post("/changes/c-web/decision", data=sent)
        assert late.status_code == 409
    after = office.scene.at("c-web")
    assert after.state is ChangeState.APPROVED
    assert [(one.who, one.via) for one in after.decisions] == [("ann", "web")]


def test_a_change_is_shown_whole_and_nothing_of_it_raw(local: Office) -> None:
    local.ask("web")
    view = pages_of(local).change("c-web", user(local))
    assert view is not None
    assert view.work is not None
    assert view.asking is not None
    assert (view.asking.people, view.asking.groups) == (1, ["sre"])
    assert (view.asking.no_approval, view.asking.typed) == ("", "")
    assert [one.to for one in view.audit] == ["awaiting", "proposed", "draft"]
    assert "spec" not in view.model_dump_json()
    bob = pages_of(local).change("c-web", user(local, "bob"))
    assert bob is not None
    assert bob.asking is not None
    assert "bob is in none of the groups" in bob.asking.no_approval
    assert pages_of(local).change("c-none", user(local)) is None


def test_where_only_a_person_can_go_on_the_objects_are_shown_without_secrets(
    local: Office,
) -> None:
    (row,) = local.ask("web")
    assert row.change is not None
    secret = {"spec": {"env": [{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]}}
    operation = Operation(
        verb=Verb.PATCH, target=a_target("web"), patch=secret, before=secret, after=secret
    )
    change = row.change.model_copy(update={"operations": [operation]})
    held = replace(
        row,
        change=change,
        state=ChangeState.NEEDS_HUMAN,
        written=(a_write(Step.DO, outcome="done", after=secret),),
    )
    shown = change_view(held, None, (), policy=policy_of(local), user=None)
    assert shown.objects[0]["object"] == "Deployment shop/web"
    assert "hunter2" not in shown.model_dump_json()


def test_a_mission_is_shown_with_its_path_and_what_waits(office: Office) -> None:
    office.ask("web", "db")
    view = pages_of(office).mission("m-1")
    assert view is not None
    assert (view.state, view.open, len(view.changes)) == ("waiting", 2, 2)
    nouns = [(one.noun, one.depth) for one in view.path]
    assert nouns[0] == ("mission", 0)
    assert {"change", "audit"} <= {noun for noun, _ in nouns}
    (line,) = pages_of(office).missions((), "", 10)
    assert line.open == 2
    assert pages_of(office).mission("m-9") is None


def test_rules_of_another_process_are_those_of_the_store(local: Office) -> None:
    pages = pages_of(local)
    assert pages.rules() == []
    loaded = check_texts(RULES).rules
    local.store.keep_rules(loaded.digest, RULES)
    epoch = local.store.claim(0)
    moves = (a_transition("f-1", rule="crash-loop", state=State.FIRING),)
    local.store.commit(
        0, epoch, a_commit(1, transitions=moves, launches=[], deliveries=[], state={})
    )
    (line,) = pages.rules()
    assert (line.name, line.state, line.open, line.summary) == (
        "crash-loop",
        "firing",
        1,
        "A container restarts.",
    )
    view = pages.rule("crash-loop", "")
    assert view is not None
    assert [one.id for one in view.firings] == ["f-1"]
    assert view.unexplained == ""
    unknown = pages.rule("crash-loop", "colour=red")
    assert unknown is not None
    assert "has no 'colour'" in unknown.unexplained
    assert pages.rule("none", "") is None


def test_sinks_and_clusters_say_what_is_wrong(office: Office) -> None:
    pages = pages_of(office)
    a_dead_letter(office.store, "d-1", NOON)
    office.store.enqueue([])
    (sink,) = pages.sinks()
    assert (sink.name, sink.type, sink.waiting) == ("out", "console", 0)
    (cluster,) = pages.clusters()
    assert (cluster.problem, cluster.writable, cluster.frozen) == ("no route", False, False)
    orders = orders_of(office)
    orders.freeze(user(office), "all", "release", None)
    assert pages.clusters()[0].frozen


def test_the_chain_of_the_audit_is_checked_as_a_whole_now_and_then(local: Office) -> None:
    clock = Hand()
    pages = StoredPages(local.store, local.settings, clock)
    local.ask("web")
    before = pages.audit("", "", 2)
    assert (before.count, before.fault, len(before.entries)) == (3, "", 2)
    with local.store.write() as connection:
        connection.exec_driver_sql("update audit set actor = 'eve' where seq = 2")
    assert pages.audit("", "", 2).fault == ""
    clock.at += timedelta(minutes=1)
    assert "entry 2" in pages.audit("", "", 2).fault


@pytest.mark.real
def test_the_page_follows_a_change_to_its_end(
    local: Office, chromium: Path, tmp_path: Path
) -> None:
    (row,) = local.ask("web")
    with (
        serving(an_app(people_of(local))) as url,
        start_browser(chromium, tmp_path / "b") as browser,
    ):
        browser.open(f"{url}/changes/{row.id}")
        browser.type(ANN_TOKEN)
        browser.click("main button")
        browser.click("button[value=approve]")
        assert "approved" in browser.run("document.querySelector('main').innerText")
        for event in (
            ChangeEvent.BEGIN,
            ChangeEvent.DRY_RUN,
            ChangeEvent.APPLY,
            ChangeEvent.APPLIED,
            ChangeEvent.VERIFY,
        ):
            local.scene.move(row.id, event)
        browser.until("document.querySelector('main .badge')?.innerText == 'verified'")
        browser.picture(PICTURES / "verified.png")


def test_an_order_is_checked_and_the_same_one_finds_its_mission(office: Office) -> None:
    orders = orders_of(office)
    targets = Targets(labels="env=test")
    order = Order(kind="incident-response", targets=targets, mode="plan", trigger="t-1")
    first = orders.run(user(office), order)
    assert (first.clusters, first.mode, first.state) == (["east"], "plan", "queued")
    assert orders.run(user(office), order).id == first.id
    assert orders.run(user(office, "cay"), order).id != first.id
    for wrong in (
        order.model_copy(update={"kind": "incident-respons"}),
        order.model_copy(update={"params": {"what": "1"}}),
        order.model_copy(update={"targets": Targets(clusters=("west",))}),
        order.model_copy(update={"targets": Targets(labels="((")}),
    ):
        with pytest.raises(DogwatchError):
            orders.run(user(office), wrong)
    with pytest.raises(Refused):
        orders.resume(user(office), first.id)
    with pytest.raises(DogwatchError, match="no cluster 'west'"):
        orders.freeze(user(office), "cluster/west", "x", None)


def test_what_lets_changes_happen_is_ordered_by_approvers_alone(office: Office) -> None:
    orders, bob = orders_of(office), user(office, "bob")
    office.ask("web")
    orders.freeze(bob, "all", "stop", None)
    orders.freeze(bob, "cluster/east", "stop", None)
    targets = Targets(clusters=("east",))
    asked = Order(kind="incident-response", targets=targets, mode="apply", trigger="t-1")
    for forbidden in (
        lambda: orders.thaw(bob, "all"),
        lambda: orders.thaw(bob, "cluster/east"),
        lambda: orders.cancel(bob, "m-1"),
        lambda: orders.resume(bob, "m-1"),
        lambda: orders.run(bob, asked),
        lambda: orders.run(bob, asked.model_copy(update={"mode": "plan"})),
    ):
        with pytest.raises(Refused, match=r"who approves changes in east \(sre\); bob does not"):
            forbidden()
    assert orders.run(bob, asked.model_copy(update={"mode": "report"})).mode == "report"
    ann = user(office)
    assert orders.thaw(ann, "all")
    assert orders.thaw(ann, "cluster/east")
    assert orders.run(ann, asked).mode == "apply"
    assert orders.cancel(ann, "m-1").state == "cancelled"
    nobody_known = StoredOrders(office.store, office.settings, SystemClock())
    with pytest.raises(Refused, match="no policy"):
        nobody_known.thaw(ann, "all")


def test_what_can_not_be_read_is_shown_as_such(local: Office) -> None:
    local.ask("db", "web")
    with local.store.write() as connection:
        connection.exec_driver_sql("update changes set draft = '{' where id = 'c-web'")
    pages = pages_of(local)
    view = pages.change("c-web", user(local))
    assert view is not None
    assert view.reason.startswith("what is stored of it can not be read")
    titles = ["change c-web, which can not be read", "scale web to 3"]
    mission = pages.mission("m-1")
    assert mission is not None
    assert [one.title for one in mission.changes] == titles
    assert [one.title for one in pages.changes((), "", 10)] == titles


def test_who_cancels_a_mission_takes_its_buttons_back(local: Office) -> None:
    (row,) = local.ask("web")
    clock = SystemClock()

    def tell(row: ChangeRow) -> Sequence[Delivery]:
        return told_of(row, policy_of(local), clock.now(), "")

    orders = orders_of(local, tell)
    assert orders.cancel(user(local), "m-1").state == "cancelled"
    (told,) = local.store.due("out", clock.now(), 10)
    assert (told.change, told.title) == (Occasion.CHANGE, row.draft.title)


async def test_what_may_lock_people_out_can_be_confirmed_while_it_is_verified(
    local: Office,
) -> None:
    (row,) = local.ask("web", risk=Risk.LOCKOUT)
    desk = people_of(local).desk
    for who in ("ann", "cay"):
        await desk.decide(user(local, who), row.id, row.digest, Verdict.APPROVE, via="web")
    now = SystemClock().now()
    for event in (ChangeEvent.BEGIN, ChangeEvent.DRY_RUN, ChangeEvent.APPLY, ChangeEvent.APPLIED):
        local.scene.move(row.id, event, now + timedelta(seconds=1))
    view = pages_of(local).change(row.id, user(local))
    assert view is not None
    assert (view.state, view.waits) == ("verifying", True)
