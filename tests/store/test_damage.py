"""R4: a damaged file recovers or is refused with a sentence; it is never silently emptier.

A flipped bit may change a text within a row, which no checksum of SQLite covers; rows never
vanish, and a checkpoint is the one that was written, or an earlier one where the log was cut.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.model.errors import StoreError
from engine.store.checkpoint import Checkpoint, Commit
from engine.store.store import Store
from tests.store.rows import Hand, a_commit

COMMITS = 25
ROUNDS = int(os.environ.get("STORE_DAMAGES", "50"))
"""How often a file is damaged somewhere; `make nightly` does it 1,000 times."""


class Seen(NamedTuple):
    """What a person would miss."""

    checkpoint: Checkpoint
    firings: frozenset[str]
    missions: frozenset[str]
    deliveries: int


def look(path: Path) -> Seen | str:
    """Return what the store at `path` holds, or the sentence with which it is refused."""
    try:
        with closing(Store.open(path, clock=Hand())) as store:
            return Seen(
                store.load(0),
                frozenset(row.id for row in store.firings(limit=1000)),
                frozenset(row.id for row in store.missions(limit=1000)),
                store.pending("web").waiting,
            )
    except StoreError as error:
        return str(error)
    finally:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()


def write(path: Path) -> Iterator[Seen]:
    """Commit, and yield what there is after each commit; the log is never folded in."""
    store = Store.open(path, clock=Hand())
    with store.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
    epoch = store.claim(0)
    expected: dict[str, bytes] = {}
    ids: list[str] = []
    for number in range(1, COMMITS + 1):
        commit = a_commit(number)
        store.commit(0, epoch, commit)
        expected |= {key: value for key, value in commit.state.items() if value is not None}
        ids.append(str(number))
        yield Seen(
            Checkpoint(number + 1, dict(expected), "digest"),
            frozenset(f"f-{name}" for name in ids),
            frozenset(f"m-{name}" for name in ids),
            len(ids),
        )
    store.close()


def damaged(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    if chance.random() < 0.3:
        return content[:at]
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def test_a_damaged_file_keeps_every_row_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    whole = list(write(path))[-1]
    content = path.read_bytes()
    chance = random.Random(ROUNDS)
    refused = 0
    for _ in range(ROUNDS):
        hurt = tmp_path / "hurt.db"
        hurt.write_bytes(damaged(content, chance))
        seen = look(hurt)
        if isinstance(seen, str):
            assert "hurt.db: " in seen
            refused += 1
        else:
            assert seen.checkpoint == whole.checkpoint
            assert len(seen.firings) == len(whole.firings)
            assert len(seen.missions) == len(whole.missions)
    assert refused > ROUNDS // 10


def test_a_store_with_any_page_wiped_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    list(write(path))
    content = path.read_bytes()
    size = int.from_bytes(content[16:18])
    for at in range(0, len(content), size):
        hurt = tmp_path / "hurt.db"
        hurt.write_bytes(content[:at] + bytes(size) + content[at + size :])
        with pytest.raises(StoreError, match=r"hurt\.db: .* (restore|a file of another kind)"):
            Store.open(hurt, clock=Hand())


def test_a_damaged_log_gives_an_earlier_whole_state_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    states = [Seen(Checkpoint(), frozenset(), frozenset(), 0)]
    for seen in write(path):
        states.append(seen)
        if len(states) == COMMITS:
            shutil.copy(path, tmp_path / "base.db")
            shutil.copy(f"{path}-wal", tmp_path / "base.db-wal")
    content = (tmp_path / "base.db-wal").read_bytes()
    chance = random.Random(ROUNDS)
    refused = 0
    for _ in range(ROUNDS):
        shutil.copy(tmp_path / "base.db", tmp_path / "hurt.db")
        bytes_ = damaged(content, chance)
        (tmp_path / "hurt.db-wal").write_bytes(bytes_)
        found = look(tmp_path / "hurt.db")
        if isinstance(found, str):
            assert "hurt.db: " in found
            refused += 1
        else:
            assert found in states
            assert len(bytes_) < len(content) or len(found.firings) >= COMMITS - 2
    assert refused > ROUNDS // 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE partitions SET next_offset = next_offset + 1",
        "UPDATE partitions SET epoch = epoch + 1",
        "UPDATE evaluator_state SET checksum = checksum + 1",
    ],
)
def test_a_checkpoint_that_was_not_written_by_us_is_refused(store: Store, statement: str) -> None:
    store.commit(0, store.claim(0), Commit(7, {"a": b"1"}, "rules"))
    with store.write() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(StoreError, match="damaged"):
        store.load(0)
