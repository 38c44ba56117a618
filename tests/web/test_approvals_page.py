"""docs/approvals.md is true: what it shows loads, and what it names is there."""

import json
import re
from textwrap import dedent
from typing import Any

import pytest
import yaml

from engine.app.config import AppConfig
from engine.app.configured import options
from engine.changes.policy import load_policy
from engine.report.slack import ACTIONS
from engine.web import links, slack
from sinks.registry import kinds
from tests.readme import ROOT, run

PAGE = (ROOT / "docs" / "approvals.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", PAGE, re.DOTALL | re.MULTILINE)
    return [dedent(text) for _, text in found]


def named(name: str) -> list[Any]:
    return [yaml.safe_load(text) for text in blocks("yaml") if text.startswith(f"# {name}\n")]


def test_the_policy_loads_and_knows_its_people() -> None:
    (text,) = (text for text in blocks("yaml") if text.startswith("# policy.yaml"))
    policy = load_policy("policy.yaml", text, None)
    assert policy.users["ada"].slack == ("T024BE7LD", "U061F7AUR")


def test_the_configuration_loads_with_its_sinks() -> None:
    found = [AppConfig.model_validate(one) for one in named("dogwatch.yaml")]
    assert [one.changes.url for one in found if one.changes.url] == ["https://dogwatch.example.com"]
    sinks = [sink for one in found for sink in one.sinks.values()]
    assert [sink.type for sink in sinks] == ["slack", "slack"]
    for sink in sinks:
        assert kinds()[sink.type].config.model_validate(options(sink)).has_buttons


def test_the_manifest_leads_to_the_receiver() -> None:
    (text,) = blocks("json")
    manifest = json.loads(text)
    url = manifest["settings"]["interactivity"]["request_url"]
    assert url == f"https://dogwatch.example.com{slack.PATH}"
    assert manifest["oauth_config"]["scopes"]["bot"] == ["chat:write"]


@pytest.mark.parametrize("command", [one for text in blocks("sh") for one in text.splitlines()])
def test_each_command_is_there(command: str) -> None:
    done = run(*command.split()[1:])
    assert done.returncode == 0, done.stderr


def test_limits_are_those_of_the_code() -> None:
    assert f"more than {slack.WINDOW.seconds} s from now" in PAGE
    assert f"more than {slack.BODY_LIMIT >> 10} KiB" in PAGE
    assert f"`{slack.HOME}`" in PAGE
    assert f"at least {links.KEY_BYTES} random" in PAGE
    assert all(f"*{verdict.capitalize()}*" in PAGE for verdict in ACTIONS.values())
