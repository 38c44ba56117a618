"""What stands between the marks of the READMEs, made anew: `python -m tests.readme` writes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.missions.registry import kinds
from engine.rules.catalog import catalog
from engine.rules.load import load
from sinks.registry import kinds as sink_kinds
from tests.watchers.page import overview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.rules.rule import Rule

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RULES = ROOT / "rules" / "README.md"
COMMAND = Path(sys.executable).with_name("dogwatch")
MISTAKE = "signal.data.faild > 2"
_BLOCK = "<!-- {name} -->\n{text}\n<!-- /{name} -->"


def fresh() -> str:
    """Return the README as it should be."""
    text = README.read_text()
    for name, block in {
        "demo": _demo(),
        "mistake": _mistake(text),
        "watchers": overview("docs/watchers.md"),
        "missions": _missions(),
        "sinks": _sinks(),
    }.items():
        text = _filled(text, name, block)
    return re.sub(r"\d+ shipped(?=\s+rules)", f"{len(_shipped())} shipped", text)


def _shipped() -> Sequence[Rule]:
    files = {path.name: path.read_bytes() for path in RULES.parent.glob("*.yaml")}
    return load(files).rules.rules


def fresh_rules() -> str:
    """Return the README of the shipped rules as it should be."""
    return _filled(RULES.read_text(), "rules", catalog(_shipped()))


def rule_of(text: str) -> str:
    """Return the YAML of the rule that the README shows."""
    found = re.search(r"```yaml\n(# rules/mine.yaml\n.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run dogwatch as a user would."""
    called = [str(COMMAND), *arguments]
    return subprocess.run(called, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def _filled(text: str, name: str, block: str) -> str:
    pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
    found = pattern.search(text)
    assert found is not None, f"the README has no block '{name}'"
    new = _BLOCK.format(name=name, text=block)
    return text[: found.start()] + new + text[found.end() :]


def _demo() -> str:
    """Return the demo's output without the report, whose times are those of the run.

    It is called as `make demo` calls it, wherever the environment of this process lies.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".venv").symlink_to(COMMAND.parent.parent)
        done = subprocess.run(
            [".venv/bin/dogwatch", "demo"],
            cwd=folder,
            env={**os.environ, "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    before, _, rest = shown.partition("\n4. Report")
    _, _, after = rest.partition("\n5. Deliveries")
    return f"```\n{before.strip()}\n\n5. Deliveries{after.rstrip()}\n```"


def _mistake(text: str) -> str:
    rule = rule_of(text)
    assert "signal.data.failed > 2" in rule
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules").mkdir()
        mistaken = rule.replace("signal.data.failed > 2", MISTAKE)
        (Path(folder) / "rules" / "mine.yaml").write_text(mistaken)
        told = run("rules", "check", "rules", cwd=Path(folder))
    errors = [line for line in told.stdout.splitlines() if " warning: " not in line]
    return "```\n" + "\n".join(errors) + "\n```"


def _missions() -> str:
    rows = [
        f"| `{kind.name}` | {kind.type} | {kind.summary} | {', '.join(kind.params.model_fields)} |"
        for kind in kinds().values()
    ]
    return "\n".join(
        ["| kind | type | what it does | params |", "| --- | --- | --- | --- |", *rows]
    )


def _sinks() -> str:
    rows = [
        f"| `{kind.name}` | {kind.summary} | "
        + ", ".join(field.alias or name for name, field in kind.config.model_fields.items())
        + " |"
        for kind in sink_kinds().values()
    ]
    return "\n".join(["| type | what it does | options |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    README.write_text(fresh())
    RULES.write_text(fresh_rules())
