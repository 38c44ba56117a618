"""Bad rule files: all faults are told, the last good set keeps firing, a mended file heals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.dogwatch import COMMAND
from tests.acceptance.lab import RULES, Lab, a_lab
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)

BROKEN = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: lab, owner: sre}
spec:
  rules:
    - name: hot
      on: [{type: alrt}]
      when: signal.data.celsius > > 40
      by: [cluster, subject]
      notify: [{on: [fire], sink: pager}]
      kep_firing_for: 1h
      mission: {kind: incident-responce}
"""
FAULTS = {
    "7:19": "'alrt'",
    "8:35": "'>'",
    "10:35": "'pager'",
    "11:7": "'kep_firing_for'",
    "12:23": "'incident-responce'",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_lab(tmp_path_factory.mktemp("rules")) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Lab:
    """A running dogwatch with the good rules in force."""
    (shared.dogwatch.folder / "rules").mkdir(exist_ok=True)
    shared.dogwatch.write_rules(RULES)
    if not shared.dogwatch.process.running:
        shared.dogwatch.start()
    assert shared.reload().json() == {"faults": []}
    return shared


def refusals(lab: Lab) -> list[dict[str, Any]]:
    return lab.logged("rules refused, the old set stays")


def all_told(text: str) -> None:
    for place, word in FAULTS.items():
        lines = [line for line in text.splitlines() if f"rules.yaml:{place} " in line]
        assert len(lines) == 1, (place, text)
        assert word in lines[0]


def test_every_fault_is_told_and_the_old_set_keeps_firing_until_the_file_is_mended(
    lab: Lab,
) -> None:
    before = len(refusals(lab))
    lab.dogwatch.write_rules(BROKEN)
    lab.await_metric("config_last_reload_successful", 0)
    refused = refusals(lab)[before:]
    assert len(refused) == 1
    all_told("\n".join(refused[0]["faults"]))

    answer = lab.reload()
    assert answer.status_code == 422
    all_told("\n".join(answer.json()["faults"]))

    lab.fire("hall")
    lab.await_told("fire", "hall")

    lab.dogwatch.write_rules(RULES.replace("> 40", "> 10").replace("name: hot", "name: warm"))
    lab.await_metric("config_last_reload_successful", 1)
    lab.fire("porch")
    assert lab.await_told("fire", "porch")["rule"] == "warm"
    assert lab.reload().json() == {"faults": []}


def test_the_last_good_set_survives_a_restart_with_bad_files_and_without_any(
    lab: Lab,
) -> None:
    for trouble in ("bad", "gone"):
        if trouble == "bad":
            lab.dogwatch.write_rules(BROKEN)
        else:
            shutil.rmtree(lab.dogwatch.folder / "rules")
        lab.dogwatch.process.stop()
        lab.dogwatch.start()
        assert lab.metric("config_last_reload_successful") == 0
        assert lab.metric("rules_loaded") == 1
        lab.fire(trouble)
        assert lab.await_told("fire", trouble)["rule"] == "hot"


def test_a_first_start_with_bad_files_ends_with_every_fault(lab: Lab) -> None:
    lab.dogwatch.process.stop()
    shutil.rmtree(lab.dogwatch.folder / "data")
    lab.dogwatch.write_rules(BROKEN)
    command = [str(COMMAND), "run", "--config", str(lab.dogwatch.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    all_told(done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == len(FAULTS)


def test_a_hang_up_signal_reloads_at_once(lab: Lab) -> None:
    others = RULES.replace("> 40", "> 30")
    before = len(lab.logged("rules in force"))
    lab.dogwatch.write_rules(others)
    assert lab.dogwatch.process.pid is not None
    os.kill(lab.dogwatch.process.pid, signal.SIGHUP)
    # Without the signal two looks, a second apart, would have to see the same file.
    assert eventually(lambda: lab.logged("rules in force")[before:] or None, 0.9)


def test_a_folder_that_vanishes_and_returns_unchanged_is_in_force_again(lab: Lab) -> None:
    rules = lab.dogwatch.folder / "rules"
    rules.rename(lab.dogwatch.folder / "away")
    lab.await_metric("config_last_reload_successful", 0)
    assert lab.reload().status_code == 422
    lab.fire("loft")
    lab.await_told("fire", "loft")
    (lab.dogwatch.folder / "away").rename(rules)
    lab.await_metric("config_last_reload_successful", 1)
    assert lab.reload().json() == {"faults": []}


def test_an_emptied_folder_does_not_end_what_fires(lab: Lab) -> None:
    lab.fire("stairs")
    lab.await_told("fire", "stairs")
    (lab.dogwatch.folder / "rules" / "rules.yaml").unlink()
    lab.await_metric("config_last_reload_successful", 0)
    assert lab.metric("rules_loaded") == 1
    assert lab.told("resolve", "stairs") == []


def test_a_file_that_is_being_written_is_not_taken_for_whole(lab: Lab) -> None:
    lab.fire("study")
    lab.await_told("fire", "study")
    whole = RULES + RULES[RULES.index("    - name: hot") :].replace("hot", "also-hot")
    path = lab.dogwatch.folder / "rules" / "rules.yaml"
    part = RULES.replace("name: hot", "name: other")  # good in itself, but not yet the whole
    for step in range(12):
        path.write_text(f"{part}# {step}\n")
        eventually(lambda: None, 0.25)
    path.write_text(whole)
    lab.await_metric("rules_loaded", 2)
    assert lab.told("resolve", "study") == []


def test_a_rule_edited_while_it_fires_resolves_and_starts_no_second_mission(
    tmp_path: Path,
) -> None:
    mission = 'mission: {kind: incident-response, params: {namespace: "x"}}'
    rules = RULES.rstrip() + f"\n      {mission}\n"
    with a_lab(tmp_path, rules) as lab:
        lab.fire("attic")
        lab.await_told("result", "attic")
        lab.dogwatch.write_rules(rules.replace("> 40", "> 41"))
        assert lab.await_told("resolve", "attic")["reason"] == "rule changed"
        lab.await_metric("missions_finished_total", 1, kind="incident-response")
        eventually(lambda: None, 2)
        assert lab.metric("missions_started_total", kind="incident-response") == 1
        assert len(lab.told("result")) == 1
