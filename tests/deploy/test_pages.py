"""The pages on operations and scale-out are true: tables, commands, settings."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import typer

from engine.app.configured import load_config
from engine.cli import app
from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from tests.cli.test_quarantine_kafka import EVENT
from tests.deploy import tables
from tests.deploy.pages import OPERATIONS, PAGES, SCALE_OUT, commands, lines, part, yaml_of
from tests.deploy.scene import SERVICES
from tests.readme import ROOT, run
from tests.store.rows import a_dead_letter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.postgres import Postgres

IDS = re.compile(r"\b[qd]-[0-9a-f]{24}\b")
GOOD = str(EVENT).replace("'", '"').encode()
LATER = ("ROLE",)
"""Words in the place of values."""


def test_the_tables_are_those_of_today() -> None:
    assert OPERATIONS.read_text() == tables.fresh(), "anew by: python -m tests.deploy.tables"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_dogwatch_knows(page: Path) -> None:
    found = commands(page.read_text())
    assert found
    for arguments in found:
        command: Any = typer.main.get_command(app)
        words = [word for word in arguments if word not in LATER]
        if words[-1] == "--role":
            words.pop()
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), arguments
        if words or not any(param.required for param in command.params):
            command.make_context("dogwatch", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["config", "tls"])
def test_every_configuration_is_good(name: str, tmp_path: Path) -> None:
    text = yaml_of(name).replace("# cert_file", "cert_file").replace("# key_file", "key_file")
    (tmp_path / "scale-out.yaml").write_text(text)
    for secret in re.findall(r"secrets/[\w.]+", text):
        (tmp_path / secret).parent.mkdir(exist_ok=True)
        (tmp_path / secret).write_text("hidden\n")
    settings = load_config(str(tmp_path / "scale-out.yaml"), {})
    assert settings.store.shared
    assert settings.bus.kafka is not None


def test_the_commands_for_containers_name_what_is_there() -> None:
    said = SCALE_OUT.read_text()
    assert set(re.findall(r"-f (\S+)", said)) == {"deploy/compose.yaml"}
    assert set(re.findall(r"--scale (\w+)=", said)) <= set(SERVICES)
    made = set(re.findall(r"(?:>|kube/config) (deploy/secrets/\w+)", said))
    assert made == {
        f"deploy/secrets/{name}" for name in ("db_password", "http_token", "kubeconfig")
    }


def test_the_secrets_are_made_as_told(tmp_path: Path) -> None:
    told = [line for line in lines(SCALE_OUT.read_text()) if "deploy/secrets" in line]
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("{}")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(told)],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "deploy" / "secrets").iterdir())
    assert made == ["db_password", "http_token", "kubeconfig"]


def a_troubled_store(folder: Path) -> dict[str, str]:
    """Make a store with something in quarantine and a dead letter; return the ids by letter."""
    (folder / "dogwatch.yaml").write_text("data_dir: data\n")
    (folder / "data").mkdir()
    store = Store.open(folder / "data" / "dogwatch.db", clock=SystemClock())
    bad = [
        Quarantined(1, "misplaced", "elsewhere", GOOD),
        Quarantined(2, "bad-time", "no zone", b"{}"),
        Quarantined(3, "bad-json", "no", b"{"),
        Quarantined(4, "damaged", "the checksum differs", GOOD),
    ]
    store.commit(0, store.claim(0), Commit(0, quarantined=bad))
    key = "d-" + "1" * 24
    a_dead_letter(store, key, SystemClock().now())
    (name,) = store.quarantined_ids("damaged")
    store.close()
    return {"q": name, "d": key}


@pytest.mark.parametrize(
    "line", [one for one in lines(OPERATIONS.read_text()) if one.startswith("dogwatch ")]
)
def test_each_command_on_troubles_runs(line: str, tmp_path: Path) -> None:
    ids = a_troubled_store(tmp_path)
    line = IDS.sub(lambda found: ids[found[0][0]], line)
    done = run(*commands(f"```sh\n{line}\n```")[0], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_database_is_made_as_told(postgres: Postgres) -> None:
    told = [one for one in lines(SCALE_OUT.read_text()) if one.startswith("psql")]
    name = postgres.database().replace("test_", "scale_")
    for line in told:
        subprocess.run(
            ["bash", "-ec", re.sub(r"\bdogwatch\b", name, line)],
            env={"ADMIN_URL": postgres.url("postgres"), "PATH": "/usr/bin:/bin"},
            check=True,
            timeout=60,
        )
    store = Store.open(postgres.url(name, name, "choose one"), clock=SystemClock())
    assert store.place("prod-eu", 1) == 1
    store.close()
    postgres.drop(name)
    postgres.execute(f"DROP ROLE {name}")


def test_the_start_has_every_role_and_an_address_for_each() -> None:
    told = lines(part("start"))
    addresses = re.findall(r"DOGWATCH_HTTP__LISTEN=(\S+)", part("start"))
    roles = re.findall(r"--role (\w+)", part("start"))
    assert len(told) == 1 + len(roles)
    assert len(set(addresses)) == len(roles)
    assert sorted(set(roles)) == ["runner", "watcher", "web", "worker"]


def test_the_readme_starts_each_role_as_the_page_does() -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- scale-out -->\n(.*?)<!-- /scale-out -->", readme, re.DOTALL)
    assert found is not None
    told = [line.split() for line in lines(found[1])]
    page = [line.split()[1:] for line in lines(part("start"))]
    assert [words[1:] for words in told if words[1:] not in page] == []
    assert {words[4] for words in told} == {"watcher", "worker", "runner", "web"}
    assert len({words[0] for words in told}) == len(told)
