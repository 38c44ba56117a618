"""The docs are true: their examples load and keep their promises, their commands run."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from engine.app.rule_files import check_texts
from engine.stream import selftest, verdicts
from tests.docs import RULES, apart_from_rules, examples, fresh
from tests.readme import ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted((ROOT / "docs").glob("rules*.md"))
EXAMPLES = [
    pytest.param(example, id=f"{page.name}-{number}")
    for page in PAGES
    for number, example in enumerate(examples(page.read_text()), 1)
]
ALERTS = """
groups:
- name: node
  rules:
  - alert: HighLoad
    expr: load > 5
    for: 10m
  - alert: Errors
    expr: rate(errors[5m]) > 1
"""
INCOMPLETE = 3


def commands(page: Path) -> list[str]:
    """Return every dogwatch command in the shell blocks of `page`."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("dogwatch ")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder as the docs suppose it: rules, a recording, alerts of Prometheus, an import."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    shutil.copy(ROOT / "engine" / "app" / "recording" / "signals.jsonl", tmp_path)
    (tmp_path / "alerts.yml").write_text(ALERTS)
    done = run(
        *shlex.split("rules import prometheus alerts.yml --nearly --output-file imported.yaml"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_loads_and_keeps_what_its_tests_promise(example: str) -> None:
    loaded = check_texts({"example.yaml": example.encode()})
    assert [str(one) for one in loaded.faults if one.severity == "error"] == []
    results = selftest.run(loaded.rules)
    assert results
    assert all(one.passed for one in results), verdicts.to_text(results)


def test_the_test_file_of_the_docs_tests_the_first_example() -> None:
    text = RULES.read_text()
    (tests,) = apart_from_rules(text)
    loaded = check_texts({"a.yaml": examples(text)[0].encode(), "a.test.yaml": tests.encode()})
    assert [str(one) for one in loaded.faults if one.severity == "error"] == []
    results = selftest.run(loaded.rules, "a crash of a minute is no reason")
    assert [one.passed for one in results] == [True]


@pytest.mark.parametrize("command", [one for page in PAGES for one in commands(page)])
def test_each_command_of_the_docs_runs(command: str, checkout: Path) -> None:
    arguments = shlex.split(command, comments=True)[1:]
    done = run(*arguments, cwd=checkout)
    incomplete = arguments == ["rules", "import", "prometheus", "alerts.yml"]
    assert done.returncode == (INCOMPLETE if incomplete else 0), done.stdout + done.stderr


def test_the_made_blocks_of_the_rule_page_are_those_of_today() -> None:
    assert RULES.read_text() == fresh(), "write it anew by: python -m tests.docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
