"""`dogwatch rules import prometheus`: where rules and account go, and the exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from engine.cli import app

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "groups: [{name: g, rules: [{alert: High, expr: x > 1}]}]"
MIXED = (
    "groups: [{name: g, rules: [{alert: High, expr: x > 1}, {alert: R, expr: 'rate(x[5m]) > 1'}]}]"
)


def ran(folder: Path, text: str, *options: str) -> tuple[int, str, str]:
    (folder / "prom.yml").write_text(text)
    result = CliRunner().invoke(
        app, ["rules", "import", "prometheus", str(folder / "prom.yml"), *options]
    )
    return result.exit_code, result.stdout, result.stderr


def test_rules_go_to_standard_output_and_the_account_to_standard_error(tmp_path: Path) -> None:
    code, out, err = ran(tmp_path, GOOD)
    assert code == 0
    assert "- name: high\n" in out
    assert err == "1 rules: 1 translated\n"


def test_it_ends_with_3_when_a_rule_was_not_translated_and_names_it(tmp_path: Path) -> None:
    code, out, err = ran(tmp_path, MIXED)
    assert code == 3
    assert "- name: high\n" in out
    assert "prom.yml:1  R (group g)" in err


def test_it_ends_with_1_when_the_file_cannot_be_read(tmp_path: Path) -> None:
    assert ran(tmp_path, "groups: {")[0] == 1
    absent = CliRunner().invoke(app, ["rules", "import", "prometheus", str(tmp_path / "no.yml")])
    assert (absent.exit_code, "no.yml: No such file" in absent.stderr) == (1, True)


def test_rules_can_be_written_to_a_file_that_rules_check_accepts(tmp_path: Path) -> None:
    to = tmp_path / "ours.yaml"
    code, out, _ = ran(tmp_path, MIXED, "--nearly", "--output-file", str(to))
    assert (code, out) == (0, "")
    assert CliRunner().invoke(app, ["rules", "check", str(to)]).exit_code == 0


def test_the_account_is_there_as_json(tmp_path: Path) -> None:
    found = json.loads(ran(tmp_path, MIXED, "--output", "json")[1])
    assert [one["status"] for one in found["outcomes"]] == ["translated", "refused"]
    assert found["rules"].startswith("# yaml-language-server")
