"""Misuse of command line and configuration: one clear line, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from engine.cli import app
from tests.acceptance.dogwatch import COMMAND
from tests.acceptance.lab import RULES, SECRET, a_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.timeout(120)

GOOD = """\
rules: [rules]
sinks: {hook: {type: webhook, url: "https://hook.example.com/x", secret_file: secret}}
routes: [{sinks: [hook]}]
http: {listen: "127.0.0.1:0"}
"""
BAD = """\
rules: [rules]
clusters: [{name: "Not A Name"}]
sinks:
  hook: {type: webhook, url: "https://hook.example.com/x", secret_file: gone}
  pager: {type: pagr}
routes: [{sinks: [hok]}]
http: {listen: "127.0.0.1:70000"}
missions: {wrkers: 3}
"""
FAULTS = {
    "2:13": "name",
    "4:60": "'gone'",
    "5:11": "'pagr'",
    "6:19": "'hok'",
    "7:8": "65535",
    "8:12": "'wrkers'",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "dogwatch.yaml").write_text(GOOD)
    return tmp_path


def called(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("verb", [("run",), ("config", "check"), ("mission", "list")], ids=str)
def test_every_fault_of_the_configuration_is_told_at_once_with_its_place(
    folder: Path, verb: tuple[str, ...]
) -> None:
    (folder / "dogwatch.yaml").write_text(BAD)
    done = called(folder, *verb)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for place, word in FAULTS.items():
        lines = [line for line in done.stderr.splitlines() if f"dogwatch.yaml:{place} " in line]
        assert len(lines) == 1, (place, done.stderr)
        assert word in lines[0]
    assert len(done.stderr.splitlines()) == len(FAULTS), done.stderr


def test_a_taken_port_is_named(folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = called(folder, "run", DOGWATCH_HTTP__LISTEN=f'"{address}"')
    assert done.returncode == 2
    assert done.stderr.strip() == f"dogwatch: http.listen {address}: Address already in use"


MISUSE = {
    "no such verb": ("frobnicate",),
    "no such option": ("run", "--frob"),
    "no configuration": ("run", "--config", "gone.yaml"),
    "a folder for a configuration": ("run", "--config", "rules"),
    "unknown kind": ("mission", "run", "incident-responce", "--snapshot", "manifests"),
    "unknown parameter": (
        *("mission", "run", "incident-response", "--snapshot", "manifests"),
        *("-p", "nonsense=1"),
    ),
    "a parameter without a value": (
        *("mission", "run", "incident-response", "--snapshot", "manifests"),
        *("-p", "nonsense"),
    ),
    "nothing to read": ("mission", "run", "incident-response"),
    "no such snapshot": ("mission", "run", "incident-response", "--snapshot", "gone"),
    "a binary snapshot": ("mission", "run", "incident-response", "--snapshot", "binary"),
    "a bad time": (
        *("mission", "run", "incident-response", "--snapshot", "manifests"),
        *("--now", "yesterday"),
    ),
    "unknown cluster": ("mission", "run", "incident-response", "--cluster", "moon"),
    "unknown output": ("mission", "list", "--output", "xml"),
    "unknown state": ("mission", "list", "--state", "doing"),
    "a negative limit": ("quarantine", "list", "--limit", "-1"),
    "a huge limit": ("quarantine", "list", "--limit", "9" * 30),
    "unknown mission": ("mission", "show", "m-0"),
    "unknown id": ("show", "m-0"),
    "an id with escapes": ("show", "\x1b[2Jm"),
    "replay an unknown key": ("dlq", "replay", "d-0"),
    "drop an unknown key": ("dlq", "drop", "d-0"),
    "rules that are not there": ("rules", "check", "gone"),
    "a folder without rules": ("rules", "check", "empty"),
    "tests of rules that are not there": ("rules", "test", "gone"),
    "binary rules": ("rules", "test", "binary"),
    "replay without signals": ("replay", "--rules", "rules", "--signals", "gone"),
    "replay of a folder": ("replay", "--rules", "rules", "--signals", "rules"),
    "replay from nonsense": (
        *("replay", "--rules", "rules", "--signals", "binary", "--from", "soon"),
    ),
    "a snapshot of an unknown cluster": ("snapshot", "save", "new", "--cluster", "moon"),
    "a snapshot onto a file": ("snapshot", "save", "binary"),
    "a demo onto a file": ("demo", "--keep", "binary"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_answered_in_words_and_with_an_exit_code(folder: Path, name: str) -> None:
    (folder / "manifests").mkdir()
    (folder / "manifests" / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
    )
    (folder / "empty").mkdir()
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    done = called(folder, *MISUSE[name])
    assert done.returncode in {1, 2}, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "a fault of its own" not in done.stderr
    assert done.stderr.strip(), done.stdout
    assert "\x1b" not in done.stderr
    usage = done.stderr.startswith("Usage:")
    assert usage or len(done.stderr.splitlines()) <= 3, done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "say what to read: --snapshot PATH, or --cluster NAME"),
        (("--snapshot", "rules", "--cluster", "a"), "give --snapshot or --cluster, not both"),
        (
            ("--cluster", "a", "--now", "2026-01-01T00:00:00Z"),
            "--now goes with --snapshot: a live cluster is read now",
        ),
    ],
    ids=["nothing", "both", "now"],
)
def test_a_mission_run_that_does_not_say_what_to_read_is_told_so_in_one_line(
    folder: Path, more: tuple[str, ...], said: str
) -> None:
    done = called(folder, "mission", "run", "incident-response", *more)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"dogwatch: {said}\n")


def every_command(command: Any, name: str = "dogwatch") -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from every_command(inner, f"{name} {word}")


def test_every_verb_and_option_explains_itself() -> None:
    found = dict(every_command(typer.main.get_command(app)))
    assert {"dogwatch run", "dogwatch dlq replay", "dogwatch quarantine list"} <= set(found)
    for name, command in found.items():
        assert command.help, name
        for param in command.params:
            assert getattr(param, "help", None), (name, param.name)


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    for verb in ("rules schema", "config schema", "mission kinds", "rules check rules"):
        shell = f"{COMMAND} {verb} --output json" if "schema" not in verb else f"{COMMAND} {verb}"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {shell} | head -c 1 >/dev/null"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == "" or "warnings" in done.stderr, (verb, done.stderr)
        assert done.returncode in {0, 1, 141}, verb


def test_json_is_valid_everywhere(tmp_path: Path) -> None:
    with a_lab(tmp_path) as lab:
        lab.fire("attic")
        firing = lab.await_told("fire", "attic")["incident"]
        lab.post(b"nonsense")
        for verb in (
            ("mission", "list"),
            ("dlq", "list"),
            ("quarantine", "list"),
            ("show", firing),
        ):
            json.loads(lab.dogwatch.command(*verb, "--output", "json"))
        for plain in (
            ("mission", "kinds"),
            ("rules", "check", str(tmp_path / "rules")),
            ("rules", "test", str(tmp_path / "rules")),
        ):
            json.loads(called(tmp_path, *plain, "--output", "json").stdout)
