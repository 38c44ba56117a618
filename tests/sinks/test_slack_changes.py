"""Slack and changes: buttons where clicks are taken, and messages that end with the change."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from slack_sdk.models.blocks import ActionsBlock, Block

from engine.model.delivery import Delivery, Occasion
from sinks.registry import make
from sinks.slack import GONE_WORDS
from tests.report.sample import CHANGE, a_delivery, a_digest, an_applied, an_ask
from tests.sinks.outside import a_sink, hook_options, slack_options
from tests.testbeds.receiver import Receiver, json_answer

FIRST = {"channel": "C024BE91L", "ts": "1700000000.000001"}
ASKED = {
    **FIRST,
    f"ask {CHANGE} d-1": "1700000000.000002",
    f"ask {CHANGE} d-2": "1700000000.000003",
}


def interactive(url: str, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "signing"
    file.write_text("8f742231b10e8888abcd99yyyzzz85a5")
    return slack_options(url, signing_secret_file=str(file))


async def sent(options: dict[str, Any], delivery: Delivery, server: Receiver) -> dict[str, Any]:
    async with a_sink("slack", options) as channel:
        await channel.send(delivery, None)
    body: dict[str, Any] = server.requests[-1].json()
    return body


def buttons(body: dict[str, Any]) -> list[dict[str, Any]]:
    parsed = Block.parse_all(body["blocks"])
    for block in parsed:
        block.validate_json()
    assert len([one for one in parsed if isinstance(one, ActionsBlock)]) <= 1
    actions = (one for one in body["blocks"] if one["type"] == "actions")
    return [button for block in actions for button in block["elements"]]


@pytest.mark.parametrize("change", [Occasion.APPROVAL, Occasion.REMINDER])
async def test_a_change_that_waits_has_buttons_that_name_its_digest(
    change: Occasion, slack_server: Receiver, tmp_path: Path
) -> None:
    options = interactive(slack_server.url, tmp_path)
    shown = buttons(await sent(options, a_delivery(change), slack_server))
    assert [one["action_id"] for one in shown] == ["dogwatch.approve", "dogwatch.deny"]
    assert {one["value"] for one in shown} == {f"{CHANGE} {an_ask().digest}"}


async def test_buttons_are_there_where_clicks_are_fetched(
    slack_server: Receiver, tmp_path: Path
) -> None:
    options = slack_options(slack_server.url, app_token_file=str(tmp_path / "app-token"))
    assert len(buttons(await sent(options, a_delivery(Occasion.APPROVAL), slack_server))) == 2


async def test_there_are_no_buttons_where_no_clicks_are_taken(slack_server: Receiver) -> None:
    options = slack_options(slack_server.url)
    assert not buttons(await sent(options, a_delivery(Occasion.APPROVAL), slack_server))
    by_hook = hook_options(slack_server.url)
    assert not buttons(await sent(by_hook, a_delivery(Occasion.APPROVAL), slack_server))


async def test_what_needs_a_typed_name_can_only_be_denied_by_a_click(
    slack_server: Receiver, tmp_path: Path
) -> None:
    ask = an_ask(risk="destructive", typed="web", needed=2)
    delivery = a_delivery(Occasion.APPROVAL, ask=ask)
    body = await sent(interactive(slack_server.url, tmp_path), delivery, slack_server)
    assert [one["action_id"] for one in buttons(body)] == ["dogwatch.deny"]
    assert "use the page or the CLI" in json.dumps(body["blocks"])


async def test_what_nobody_may_approve_can_only_be_denied(
    slack_server: Receiver, tmp_path: Path
) -> None:
    delivery = a_delivery(Occasion.APPROVAL, ask=an_ask(groups=[]))
    body = await sent(interactive(slack_server.url, tmp_path), delivery, slack_server)
    assert [one["action_id"] for one in buttons(body)] == ["dogwatch.deny"]
    assert "nobody may approve it" in json.dumps(body["blocks"])


async def test_a_digest_of_several_has_no_buttons(slack_server: Receiver, tmp_path: Path) -> None:
    options = interactive(slack_server.url, tmp_path)
    assert not buttons(await sent(options, a_digest(), slack_server))


async def test_buttons_stay_though_a_huge_diff_is_cut(
    slack_server: Receiver, tmp_path: Path
) -> None:
    huge = an_ask(diff="+ x\n" * 5000, lines=["replicas 1 -> 3"] * 500, notes=["unknown"] * 500)
    options = interactive(slack_server.url, tmp_path)
    body = await sent(options, a_delivery(Occasion.APPROVAL, ask=huge), slack_server)
    assert len(body["blocks"]) <= 50
    assert len(buttons(body)) == 2


async def test_the_end_of_a_change_edits_what_asked_for_it_and_tells_the_thread(
    slack_server: Receiver, tmp_path: Path
) -> None:
    async with a_sink("slack", interactive(slack_server.url, tmp_path)) as channel:
        thread = (await channel.send(a_delivery(Occasion.FIRE), None)).thread
        for occasion in (Occasion.APPROVAL, Occasion.REMINDER):
            told = a_delivery(occasion, key=f"d-{occasion}")
            thread |= (await channel.send(told, thread)).thread
        await channel.send(a_delivery(Occasion.CHANGE), thread)
    fire, *asked, first, second, reply = slack_server.requests
    assert [one.path.rsplit("/")[-1] for one in (first, second, reply)] == [
        "chat.update",
        "chat.update",
        "chat.postMessage",
    ]
    assert {one.json()["ts"] for one in (first, second)} == {
        ts for name, ts in thread.items() if name.startswith("ask ")
    }
    assert [one.json()["reply_broadcast"] for one in asked] == [True, True]
    assert all(one.json()["thread_ts"] == thread["ts"] for one in asked)
    assert "reply_broadcast" not in reply.json()
    assert fire.json()["channel"] == "#alerts"
    for edit in (first.json(), second.json()):
        assert not buttons(edit)
        assert "Verified" in edit["text"]
    assert len(first.json()["blocks"]) > len(second.json()["blocks"]) == 1
    assert reply.json()["thread_ts"] == thread["ts"]
    assert "blocks" not in reply.json()


async def test_a_decision_takes_the_buttons_away_and_says_no_more(slack_server: Receiver) -> None:
    approved = a_delivery(Occasion.CHANGE, applied=an_applied(state="approved", ended=None))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        receipt = await channel.send(approved, ASKED)
    assert [one.path.rsplit("/")[-1] for one in slack_server.requests] == ["chat.update"] * 2
    assert receipt.thread == ASKED


@pytest.mark.parametrize("word", sorted(GONE_WORDS))
async def test_an_end_is_told_though_what_asked_is_gone(word: str, slack_server: Receiver) -> None:
    gone = json_answer({"ok": False, "error": word})
    slack_server.script(gone, gone)
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.CHANGE), ASKED)
    assert slack_server.requests[-1].path.endswith("chat.postMessage")
    assert slack_server.requests[-1].json()["blocks"]


async def test_the_end_of_another_change_edits_nothing(slack_server: Receiver) -> None:
    other = a_delivery(Occasion.CHANGE, applied=an_applied(id="c-other"))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(other, ASKED)
    assert [one.path.rsplit("/")[-1] for one in slack_server.requests] == ["chat.postMessage"]


def test_buttons_need_a_token() -> None:
    for option in ("signing_secret_file", "app_token_file"):
        options = {"webhook_url": "https://x.example/a", option: "secret"}
        with pytest.raises(ValidationError, match="they need a token"):
            make("chat", "slack", options)
