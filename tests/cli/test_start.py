"""A verb imports what it needs and no more: who waits for a prompt answer gets one."""

import subprocess
import sys

import pytest

PRICEY = (
    "aiokafka",
    "alembic",
    "faust",
    "jinja2",
    "kubernetes",
    "promql_parser",
    "psycopg",
    "sinks.email",
    "sqlalchemy",
    "structlog",
    "uvicorn",
    "engine.analysis.checks",
)
ASK = "import sys; {imports}; print(*(name for name in {pricey!r} if name in sys.modules))"
RULES = {"jinja2"}
"""Texts of rules are templates."""
STORE = RULES | {"promql_parser", "sqlalchemy", "structlog"}
"""Who reads the configuration knows the watchers, one of which edits PromQL: 2 ms."""
RUN = STORE | {"uvicorn"}


@pytest.mark.parametrize(
    ("imports", "needed"),
    [
        ("import engine.cli", set()),
        ("import engine.app.rule_files, engine.rules.faults", RULES),
        ("import engine.app.look", STORE),
        ("import engine.app.serve", RUN),
    ],
    ids=["help", "rules check", "mission list", "run"],
)
def test_only_what_a_verb_needs_is_imported(imports: str, needed: set[str]) -> None:
    code = ASK.format(imports=imports, pricey=PRICEY)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= needed
