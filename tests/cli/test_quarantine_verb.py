"""`dogwatch quarantine`: look at what was unreadable, read it again, forget it; on both stores."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from engine.app.configured import load_config
from engine.app.opening import open_store
from engine.app.reasons import ALLOWED
from engine.bus.codec import decode
from engine.bus.element import Reason
from engine.bus.embedded import EmbeddedBus
from engine.cli import TROUBLE, app
from engine.model.errors import DogwatchError, StoreError
from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.quarantine import RAW, Quarantined
from tests.readme import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from engine.store.store import Store

HOSTILE = b'{"id": "\x1b[2J\x1b]0;owned\x07\xff\xfe \xe2\x80\xae\xe2\x80\x8b", \r\n"x": "\\u0041"'
EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "sensor",
    "type": "alert",
    "cluster": "lab",
    "time": "2026-01-01T00:00:00Z",
    "data": {},
}


def spelled(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


@dataclass
class Desk:
    """A configuration, its store, and the verbs over it."""

    folder: Path
    store: Store

    def keep(self, *bad: Quarantined, partition: int = 0) -> list[str]:
        """Put elements into quarantine; return the ids of all, the oldest first."""
        self.store.commit(partition, self.store.claim(partition), Commit(0, quarantined=bad))
        return self.store.quarantined_ids()

    def call(self, *arguments: str) -> Result:
        """Run a verb in this process."""
        config = ("--config", str(self.folder / "dogwatch.yaml"))
        return CliRunner().invoke(app, ["quarantine", *arguments, *config])

    def said(self, *arguments: str, code: int = 0) -> str:
        """Return what a verb printed; the error that `main` would print where `code` is 2."""
        done = self.call(*arguments)
        if isinstance(done.exception, DogwatchError):
            assert code == TROUBLE, done.exception
            return str(done.exception)
        assert done.exit_code == code, done.output
        return done.stdout

    def log(self) -> list[str]:
        """Return the ids of the signals on the bus."""

        async def read() -> list[str]:
            bus = EmbeddedBus(self.folder / "data" / "signals.db", clock=SystemClock())
            ids: list[str] = []
            try:
                end = await bus.end()
                async for offset, record in bus.read(0):
                    ids += [signal.id for signal in decode(record).signals]
                    if offset + 1 == end:
                        break
            finally:
                await bus.aclose()
            return ids

        return asyncio.run(read())


def a_desk(folder: Path, store: dict[str, str]) -> Iterator[Desk]:
    config = folder / "dogwatch.yaml"
    config.write_text(json.dumps({"data_dir": "data", **({"store": store} if store else {})}))
    (folder / "data").mkdir()
    opened = open_store(load_config(str(config), {}), SystemClock())
    yield Desk(folder, opened)
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "sqlite":
        yield from a_desk(tmp_path, {})
        return
    server = request.getfixturevalue("postgres")
    name = server.database()
    yield from a_desk(tmp_path, {"url": server.url(name)})
    server.drop(name)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Desk]:
    yield from a_desk(tmp_path, {})


def a_bad(number: int, reason: str = "bad-json", raw: bytes = b"{") -> Quarantined:
    return Quarantined(number, reason, "it is not right", raw, headers={"traceparent": "00-1"})


def test_list_shows_the_newest_and_counts_all(desk: Desk) -> None:
    ids = desk.keep(a_bad(1), a_bad(2, "bad-time"), a_bad(3))
    shown = desk.said("list", "--limit", "1")
    assert ids[2] in shown
    assert ids[0] not in shown
    assert [line.split() for line in shown.splitlines()[-3:]] == [
        ["REASON", "KEPT", "EVER"],
        ["bad-json", "2", "2"],
        ["bad-time", "1", "1"],
    ]
    found = json.loads(desk.said("list", "--reason", "bad-json", "--output", "json"))
    assert [row["id"] for row in found["records"]] == [ids[2], ids[0]]
    assert found["counts"][1] == {"reason": "bad-time", "kept": 1, "ever": 1}


def test_show_tells_every_field_and_what_is_allowed(desk: Desk) -> None:
    (name,) = desk.keep(a_bad(7, "bad-time", spelled(time="now")), partition=3)
    shown = desk.said("show", name)
    for part in (name, "partition 3, offset 7", "bad-time: it is not right", "RFC 3339"):
        assert part in shown
    assert "header   traceparent: 00-1" in shown
    found = json.loads(desk.said("show", name, "--output", "json"))
    assert found["bytes"] == spelled(time="now").decode()
    assert found["allowed"] == ALLOWED["bad-time"]


def test_raw_bytes_come_out_of_a_pipe_as_they_went_in(desk: Desk) -> None:
    (name,) = desk.keep(a_bad(1, raw=HOSTILE))
    assert desk.call("show", name, "--raw").stdout_bytes == HOSTILE


@pytest.mark.parametrize("option", [(), ("--raw",)], ids=["fields", "raw"])
def test_hostile_bytes_are_escaped_on_a_terminal(local: Desk, option: tuple[str, ...]) -> None:
    (name,) = local.keep(a_bad(1, raw=HOSTILE))
    ours, theirs = pty.openpty()
    called = [str(COMMAND), "quarantine", "show", name, *option]
    with subprocess.Popen(called, cwd=local.folder, stdout=theirs) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:
            pass  # the terminal's other end is closed
        assert process.wait(60) == 0
    os.close(ours)
    text = seen.decode().replace("\r\n", "\n")
    assert all(char.isprintable() or char == "\n" for char in text)
    assert r"\x1b[2J" in text
    assert r"\xff\xfe \u202e\u200b" in text


def test_what_was_cut_says_so_and_is_not_read_again(desk: Desk) -> None:
    (name,) = desk.keep(a_bad(1, "too-large", b"[" + b" " * RAW + b"]"))
    assert f"bytes    {RAW + 2}, of which the first {RAW} are kept" in desk.said("show", name)
    said = desk.said("replay", name, code=1)
    assert "0 replayed (0 signals); 1 kept: their bytes were cut" in said
    assert desk.store.quarantined_ids() == [name]


def test_replay_puts_the_good_onto_the_bus_and_keeps_the_bad_with_the_new_reason(
    desk: Desk,
) -> None:
    good = a_bad(1, "specversion", spelled())
    bad = a_bad(2, "specversion", spelled(time="now"))
    mixed = a_bad(3, "damaged", b"[" + spelled(id="a-2") + b"," + spelled(cluster="") + b"]")
    ids = desk.keep(good, bad, mixed)
    assert desk.said("replay", "--all", code=1).startswith(
        "1 replayed (2 signals); 2 still unreadable"
    )
    assert desk.log() == ["a-1", "a-2"]
    assert desk.store.quarantined_one(ids[0]) is None
    kept = {row.reason: row for row in desk.store.quarantined()}
    assert set(kept) == {"bad-time", "cluster"}
    assert kept["bad-time"].id == ids[1]
    assert (kept["cluster"].offset, dict(kept["cluster"].headers)) == (3, {"traceparent": "00-1"})


def test_replay_by_reason_leaves_the_others(desk: Desk) -> None:
    ids = desk.keep(a_bad(1, "damaged", spelled()), a_bad(2, "bad-json", spelled(id="a-2")))
    assert desk.said("replay", "--reason", "damaged") == "1 replayed (1 signals)\n"
    assert desk.store.quarantined_ids() == ids[1:]


def test_hundreds_are_replayed(local: Desk) -> None:
    local.keep(*(a_bad(n, "damaged", spelled(id=f"a-{n}")) for n in range(250)))
    assert local.said("replay", "--all") == "250 replayed (250 signals)\n"
    assert local.log() == [f"a-{n}" for n in range(250)]


@pytest.mark.parametrize("change", ["type", "time"])
def test_replay_is_no_way_round_the_door(local: Desk, change: str) -> None:
    raw = spelled(
        **{"type": {"type": "condition"}, "time": {"time": "2099-01-01T00:00:00Z"}}[change]
    )
    (name,) = local.keep(a_bad(1, "damaged", raw))
    assert "1 still unreadable" in local.said("replay", name, code=1)
    assert local.store.quarantined()[0].reason == {"type": "type", "time": "future"}[change]


def test_drop_of_many_wants_to_be_sure(desk: Desk) -> None:
    ids = desk.keep(a_bad(1), a_bad(2), a_bad(3))
    assert desk.said("drop", ids[0]) == "1 dropped\n"
    refused = desk.said("drop", "--reason", "bad-json", code=2)
    assert refused == "2 records would be dropped for good; say so by --yes"
    assert desk.said("drop", "--all", "--yes") == "2 dropped\n"
    assert desk.store.quarantine_counts() == {"bad-json": 3}


def test_an_id_that_is_unknown_names_the_nearest_and_nothing_is_done(local: Desk) -> None:
    ids = local.keep(a_bad(1), a_bad(2))
    wrong = ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1")
    for verb in ("show", "replay", "drop"):
        more = (ids[1],) if verb != "show" else ()
        told = local.said(verb, wrong, *more, code=2)
        assert f"has the id '{wrong}'; did you mean '{ids[0]}'?" in told
    assert local.store.quarantined_ids() == ids


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "--reason", "bad-jsn"), "has the reason 'bad-jsn'; known: "),
        (("list", "--reason", "bad-jsn"), "did you mean 'bad-json'?"),
        (("replay", "--reason", "bad-time"), "has the reason 'bad-time'; known: bad-json"),
        (("drop", "--reason", "\x1b[2J"), r"has the reason '\x1b[2J'; known: bad-json"),
        (("replay",), "say which records: ID..., --reason REASON, or --all"),
        (("drop", "q-1", "--all"), "say which records: ID..., --reason REASON, or --all"),
        (("replay", "--all", "--reason", "x"), "say which records"),
        (("show", "\x1b[2J"), r"has the id '\x1b[2J'; see `dogwatch quarantine list`"),
    ],
)
def test_misuse_is_told_in_one_line(local: Desk, arguments: tuple[str, ...], told: str) -> None:
    local.keep(a_bad(1))
    error = local.said(*arguments, code=2)
    assert told in error
    assert "\n" not in error


def test_nothing_in_quarantine_is_no_fault(desk: Desk) -> None:
    assert desk.said("list") == "nothing quarantined\n"
    assert desk.said("list", "--reason", "bad-json") == "nothing quarantined\n"
    assert desk.said("replay", "--all") == "0 replayed (0 signals)\n"
    assert desk.said("drop", "--all") == "0 dropped\n"


def test_without_a_store_every_verb_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "dogwatch.yaml").write_text("data_dir: data\n")
    config = ("--config", str(tmp_path / "dogwatch.yaml"))
    for verb in (("list",), ("show", "q-1"), ("replay", "--all"), ("drop", "--all")):
        done = CliRunner().invoke(app, ["quarantine", *verb, *config])
        assert isinstance(done.exception, StoreError)
        assert "nothing stored yet; start `dogwatch run` first" in str(done.exception)
    assert not (tmp_path / "data").exists()


def test_every_reason_has_its_words() -> None:
    assert set(Reason) <= set(ALLOWED)
    assert {"type", "cluster", "future", "misplaced"} <= set(ALLOWED)


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_what_came_by_http_has_no_place_on_the_bus(local: Desk) -> None:
    local.store.quarantine([Quarantined(-1, "bad-json", "no", b"{")], NOON)
    (name,) = local.store.quarantined_ids()
    assert "place    came by HTTP" in local.said("show", name)
    found = json.loads(local.said("show", name, "--output", "json"))
    assert (found["partition"], found["offset"]) == (None, None)
