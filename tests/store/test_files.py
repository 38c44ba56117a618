"""The store's file: migrated, shared safely, and refused rather than misread."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engine.model.errors import StoreError
from engine.store.store import Store
from tests.store.rows import Hand, a_commit


def filled(path: Path) -> Path:
    store = Store.open(path, clock=Hand())
    store.commit(0, store.claim(0), a_commit())
    store.close()
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_store_made_by_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    change(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"schema is '9999'.*upgrade dogwatch"):
        Store.open(path, clock=Hand())


def test_a_store_that_lost_a_table_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    change(path, "DROP TABLE deliveries")
    with pytest.raises(StoreError, match="table deliveries lacks"):
        Store.open(path, clock=Hand())


def test_a_url_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"store of kind 'mysql' .* allowed are a path, sqlite:///"
    ):
        Store.open("mysql://user:secret@x/y", clock=Hand())
    store = Store.open(f"sqlite:///{tmp_path}/url.db", clock=Hand())
    store.close()
    assert (tmp_path / "url.db").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty, it lost its content"),
        (b"hello" * 1000, "no SQLite file"),
        (None, "a file of another kind"),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "store.db"
    if content is None:
        change(path, "CREATE TABLE other (x)")
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        Store.open(path, clock=Hand())


def test_a_log_without_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"the file is gone but its log store\.db-wal is there"):
        Store.open(tmp_path / "store.db", clock=Hand())


def test_many_processes_open_a_new_store_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from engine.store.store import Store;"
        "from engine.model.ports import SystemClock;"
        "s = Store.open(sys.argv[1], clock=SystemClock()); print(s.claim(0)); s.close()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store.db")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    epochs = sorted(int(process.communicate(timeout=60)[0]) for process in running)
    assert epochs == [1, 2, 3, 4]


def test_threads_write_at_once_without_losing_a_commit(store: Store) -> None:
    epochs = [store.claim(partition) for partition in range(6)]

    def work(partition: int) -> None:
        for number in range(10):
            name = partition * 100 + number
            store.commit(partition, epochs[partition], a_commit(name, next_offset=number + 1))

    threads = [threading.Thread(target=work, args=(partition,)) for partition in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.load(partition).next_offset for partition in range(6)] == [10] * 6
    assert len(store.missions(limit=1000)) == 60


def test_a_full_disk_writes_nothing_and_heals_without_a_restart(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    store = Store.open(path, clock=Hand())
    epoch = store.claim(0)
    with store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    big = a_commit(2, state={"big": b"x" * 100_000})
    before = store.load(0)
    for _ in range(2):
        with pytest.raises(StoreError, match="disk is full; nothing was written"):
            store.commit(0, epoch, big)
    assert store.load(0) == before
    assert [row.id for row in store.missions()] == ["m-1"]
    with store.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert store.commit(0, epoch, big).new_firings == ("f-2",)
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until no byte more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def test_a_really_full_disk_refuses_commits_and_heals(small_disk: Path) -> None:
    store = Store.open(small_disk / "store.db", clock=Hand())
    epoch = store.claim(0)
    store.commit(0, epoch, a_commit(1))
    filler = small_disk / "filler"
    fill(filler)
    big = a_commit(2, state={"big": b"x" * 200_000})
    with pytest.raises(StoreError, match="disk"):
        store.commit(0, epoch, big)
    assert store.load(0).next_offset == 2
    filler.unlink()
    assert store.commit(0, epoch, big).new_missions == ("m-2",)
    store.close()


def test_a_read_only_store_says_so(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = filled(tmp_path / "store.db")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith(("pytest-", "popen-", "test_")):
            parent.chmod(0o755)
    script = (
        "import os, sys\n"
        "from engine.store.store import Store\n"
        "from engine.model.errors import StoreError\n"
        "from engine.model.ports import SystemClock\n"
        "Store.open(sys.argv[2], clock=SystemClock()).close()\n"  # imports what is lazy
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: Store.open(sys.argv[1], clock=SystemClock())\n"
        "except StoreError as error: print(error)\n"
    )
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    command = [sys.executable, "-c", script, str(path), str(tmp_path_factory.mktemp("w") / "w.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tmp_path.chmod(0o755)
    assert "store.db" in done.stdout
    assert "read-only" in done.stdout or "can not be opened" in done.stdout


def test_a_copied_store_is_whole(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    shutil.copy(path, tmp_path / "copy.db")
    copy = Store.open(tmp_path / "copy.db", clock=Hand())
    assert copy.load(0).next_offset == 2
    copy.close()
