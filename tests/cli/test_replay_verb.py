"""`dogwatch replay` never ends without a word."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app

RULES = str(Path(__file__).parents[2] / "rules")


@pytest.mark.parametrize(
    ("more", "said"),
    [((), "no rule changed its state\n"), (("--diff", RULES), "both rule sets do the same\n")],
)
def test_a_replay_without_transitions_says_so_beside_its_output(
    tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    (tmp_path / "log.jsonl").touch()
    done = CliRunner().invoke(
        app, ["replay", "--rules", RULES, "--signals", str(tmp_path / "log.jsonl"), *more]
    )
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", said)
