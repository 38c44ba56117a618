"""docs/receivers.md is true: its configuration loads, its rule does as told, its links lead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from engine.app.configured import load_config
from engine.app.rule_files import check_texts
from engine.stream import selftest, verdicts
from tests.acceptance.reception import PAGE, blocks, secrets_in
from tests.docs import examples
from watchers.receiving import ReceiverOptions, kinds

if TYPE_CHECKING:
    from pathlib import Path

CONFIGS = [one for one in blocks("yaml") if re.match(r"(receivers|clusters):", one)]
TYPES = ("alertmanager", "audit", "cloudevents", "console-alert")


@pytest.mark.parametrize("text", CONFIGS)
def test_each_configuration_loads(text: str, tmp_path: Path) -> None:
    secrets_in(tmp_path)
    (tmp_path / "dogwatch.yaml").write_text(text)
    config = load_config(str(tmp_path / "dogwatch.yaml"), {})
    assert config.receivers or config.clusters[0].watchers["audit"]


def test_the_configuration_shows_every_type() -> None:
    (shown,) = [yaml.safe_load(one) for one in CONFIGS if one.startswith("receivers")]
    assert {block["type"] for block in shown["receivers"].values()} == set(TYPES)


def test_every_option_is_in_the_table() -> None:
    text = PAGE.read_text()
    fields = {name for type_ in TYPES for name in kinds()[type_].config.model_fields}
    assert {name for name in fields if f"`{name}`" not in text} == set()
    assert {"token_file", "clusters"} <= set(ReceiverOptions.model_fields)


def test_the_rule_keeps_its_promise() -> None:
    (text,) = [one for one in examples(PAGE.read_text()) if "alert-storm" in one]
    loaded = check_texts({"example.yaml": text.encode()})
    assert [str(one) for one in loaded.faults if one.severity == "error"] == []
    results = selftest.run(loaded.rules)
    assert all(one.passed for one in results), verdicts.to_text(results)
    assert results


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    links = re.findall(r"\]\(([^)#:]*)#?([^)]*)\)", PAGE.read_text())
    for file, heading in links:
        page = PAGE.parent / file if file else PAGE
        assert page.exists()
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        names = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
        assert not heading or heading in names
