"""One good policy, seventy slips of the hand: what is said about each is pinned word for word."""

from typing import Any

import pytest
import yaml

from engine.changes.policy import load_policy
from engine.changes.policy.load import policy_faults
from engine.model.errors import ConfigError
from tests.changes.policy.cases import CLUSTERS, GOOD, HERE, TEMPLATES

MISTAKES = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))


def said(text: str) -> list[str]:
    return [str(fault) for fault in policy_faults("p.yaml", text, CLUSTERS, TEMPLATES)]


def test_a_policy_with_every_field_is_good() -> None:
    assert said(GOOD) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one["to"].strip() or one["change"])
def test_a_slip_is_told_in_words_that_say_what_to_do(mistake: dict[str, Any]) -> None:
    assert GOOD.count(mistake["change"]) == 1
    text = GOOD.replace(mistake["change"], mistake["to"])
    assert said(text) == mistake["says"] != []
    with pytest.raises(ConfigError) as refused:
        load_policy("p.yaml", text, CLUSTERS, TEMPLATES)
    assert str(refused.value).split("\n") == mistake["says"]


def test_a_token_in_clear_is_never_shown() -> None:
    shown = "\n".join(line for mistake in MISTAKES for line in mistake["says"])
    assert "token" in shown
    assert "s3cret-in-clear" not in shown


def test_every_fault_is_told_at_once_from_top_to_bottom() -> None:
    text = GOOD
    for old, new in (
        ("bo: {email", "bo: {mail"),
        ("[office]}", "[of]}"),
        ("again: 2h", "again: 2"),
    ):
        text = text.replace(old, new)
    lines = [int(line.split(":")[1]) for line in said(text)]
    assert lines == sorted(lines)
    assert set(lines) == {7, 36, 49}


@pytest.mark.parametrize("text", ["", "# nothing", "{}", "users: {a: {email: a@b}}", "null", "[]"])
def test_an_emptied_file_is_no_policy(text: str) -> None:
    assert len(said(text)) == 1


def test_two_documents_and_broken_yaml_are_refused() -> None:
    assert said(GOOD + "---\n" + GOOD) == ["p.yaml:62:1 one document is allowed"]
    assert said(GOOD + "x: [")[0].startswith("p.yaml:61:")
    assert "tags are not allowed" in said(GOOD.replace("[sre, shop]", "!!python/name:os [sre]"))[0]


def test_names_of_clusters_and_templates_are_not_checked_where_they_are_not_known() -> None:
    text = GOOD.replace("prod-eu", "prod-xx").replace("restart", "restrat")
    assert policy_faults("p.yaml", text) == []
