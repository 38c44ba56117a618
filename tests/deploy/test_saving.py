"""What is saved as docs/operations.md says comes back, and goes on."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.acceptance.lab import a_lab
from tests.deploy.pages import OPERATIONS, lines
from tests.testbeds.missing import missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.postgres import Postgres


def backups() -> list[str]:
    return [one for one in lines(OPERATIONS.read_text()) if "backup" in one and "sqlite3" in one]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lost", [("dogwatch.db",), ("dogwatch.db", "signals.db")], ids=len)
def test_what_was_saved_while_it_ran_comes_back_and_goes_on(
    lost: tuple[str, ...], tmp_path: Path
) -> None:
    if not shutil.which("sqlite3"):
        missing("sqlite3", "install the Debian package sqlite3")
    with a_lab(tmp_path) as lab:
        lab.fire("attic")
        firing = lab.await_told("fire", "attic")["incident"]
        (tmp_path / "backup").mkdir()
        assert len(backups()) == 2
        for line in backups():
            subprocess.run(shlex.split(line), cwd=tmp_path, check=True, timeout=60)
        lab.fire("cellar")
        later = lab.await_told("fire", "cellar")["incident"]
        dogwatch = lab.dogwatch
        dogwatch.process.stop()
        for name in lost:
            for path in (tmp_path / "data").glob(f"{name}*"):
                path.unlink()
            shutil.copy(tmp_path / "backup" / name, tmp_path / "data" / name)
        dogwatch.start()
        assert firing in dogwatch.command("show", firing)
        lab.fire("roof")
        lab.await_told("fire", "roof")
        if "signals.db" not in lost:
            assert later in dogwatch.command("show", later), "folded again, with the same id"


def typed(line: str, folder: Path, url: str) -> None:
    env = {"DATABASE_URL": url, "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", line], cwd=folder, env=env, check=True, timeout=60)


def test_a_database_is_saved_and_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    name = postgres.database()
    url = postgres.url(name)
    save, restore = (one for one in lines(OPERATIONS.read_text()) if one.startswith("pg_"))
    store = Store.open(url, clock=SystemClock())
    store.place("prod-eu", 7)
    typed(save, tmp_path, url)
    store.place("prod-us", 8)
    store.close()
    typed(restore, tmp_path, url)
    again = Store.open(url, clock=SystemClock())
    assert again.placements() == {"prod-eu": 7}
    again.close()
    postgres.drop(name)
