"""One good file, forty slips of the hand: what is said about each is pinned word for word."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.rules.load import load
from engine.rules.parameters import KindShape

HERE = Path(__file__).parent
GOOD = (HERE / "all_fields.yaml").read_text(encoding="utf-8")
MISTAKES = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))
PLAN = KindShape({"days": {"type": "integer", "minimum": 1}, "level": {"enum": ["low", "high"]}})


def said(text: str) -> list[str]:
    loaded = load({"r.yaml": text}, known_kinds={"plan": PLAN}, known_sinks={"oncall"})
    return [str(fault) for fault in loaded.faults]


def test_a_file_with_every_field_is_good() -> None:
    assert said(GOOD) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one["to"].strip() or one["change"])
def test_a_slip_is_told_in_words_that_say_what_to_do(mistake: dict[str, Any]) -> None:
    assert GOOD.count(mistake["change"]) == 1
    assert said(GOOD.replace(mistake["change"], mistake["to"])) == mistake["says"]
