"""A tail gives each line of a log once, over rotation, restarts, cuts and half lines."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchers import tail as tails
from watchers.tail import LINE_LIMIT, Lines, Place, Tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(b"")
    return path


def write(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(text.encode())


def all_of(tail: Tail) -> Lines:
    """Read until nothing is new."""
    total = Lines()
    while True:
        before = tail.place
        found = tail.read()
        total.lines += found.lines
        total.skipped += found.skipped
        total.lost |= found.lost
        if not found.more and tail.place == before:
            return total


def texts(tail: Tail) -> list[str]:
    return [line.decode() for line in all_of(tail).lines]


_OPEN: list[Tail] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for tail in _OPEN:
        tail.close()
    _OPEN.clear()


def a_tail(path: Path, place: Place | None = None, *, from_start: bool = True) -> Tail:
    tail = Tail(str(path), place, from_start=from_start)
    _OPEN.append(tail)
    return tail


def test_it_begins_at_the_end_unless_told_otherwise(log: Path) -> None:
    write(log, "old\n")
    late, early = a_tail(log, from_start=False), a_tail(log)
    assert (texts(late), texts(early)) == ([], ["old"])
    write(log, "new\n")
    assert (texts(late), texts(early)) == (["new"], ["new"])


def test_it_begins_at_the_end_of_a_half_written_line_with_the_next_one(log: Path) -> None:
    write(log, "old\nhal")
    tail = a_tail(log, from_start=False)
    assert texts(tail) == []
    write(log, "f\nnew\n")
    assert texts(tail) == ["new"]


def test_a_half_written_line_waits_for_its_end(log: Path) -> None:
    tail = a_tail(log)
    for piece, whole in [("a", []), ("b\nc", ["ab"]), ("", []), ("d\n\n\n", ["cd"])]:
        write(log, piece)
        assert texts(tail) == whole


def test_a_file_that_is_not_there_is_an_error_and_all_of_it_is_new_later(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    tail = a_tail(log, from_start=False)
    with pytest.raises(FileNotFoundError):
        tail.read()
    write(log, "first\n")
    assert texts(tail) == ["first"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_an_error_and_nothing_hangs(tmp_path: Path, make: object) -> None:
    odd = tmp_path / "odd"
    make(odd)  # type: ignore[operator]
    with pytest.raises(FileNotFoundError):
        a_tail(odd).read()


def test_rotation_by_rename_loses_nothing_on_either_side(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n")
    assert texts(tail) == ["1"]
    write(log, "2\n")
    log.rename(log.with_name("audit-2026-01-31T12-00-00.000.log"))
    write(log, "3\n")
    assert texts(tail) == ["2", "3"]


def test_the_old_file_may_be_written_to_until_the_new_one_is(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n")
    assert texts(tail) == ["1"]
    old = log.with_name("audit.log.1")
    log.rename(old)
    log.touch()
    write(old, "2\n")
    assert texts(tail) == ["2"]
    write(log, "3\n")
    assert texts(tail) == ["3"]


def test_a_log_that_was_renamed_and_is_not_back_yet_is_an_error(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n")
    assert texts(tail) == ["1"]
    log.rename(log.with_name("audit.log.1"))
    with pytest.raises(FileNotFoundError):
        tail.read()
    write(log, "2\n")
    assert texts(tail) == ["2"]


def test_a_line_that_was_never_finished_before_a_rotation_is_counted(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\nhalf")
    assert texts(tail) == ["1"]
    log.rename(log.with_name("audit.log.1"))
    write(log, "2\n")
    found = all_of(tail)
    assert (found.lines, found.skipped) == ([b"2"], 1)


@pytest.mark.parametrize("after", ["x\n", "a much longer line than all that was there\nx\n"])
def test_copytruncate_begins_anew_also_when_the_file_grew_past_its_old_size(
    log: Path, after: str
) -> None:
    tail = a_tail(log)
    write(log, "one\ntwo\n")
    assert texts(tail) == ["one", "two"]
    log.write_text(after)
    assert texts(tail) == after.splitlines()


def test_a_cut_file_is_read_from_its_start(log: Path) -> None:
    tail = a_tail(log)
    write(log, "one\ntwo\n")
    assert texts(tail) == ["one", "two"]
    os.truncate(log, 0)
    assert texts(tail) == []
    write(log, "three\n")
    assert texts(tail) == ["three"]


def restarted(log: Path, tail: Tail) -> Tail:
    place = tail.place
    tail.close()
    return a_tail(log, place, from_start=False)


def test_after_a_restart_it_goes_on_where_it_was(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n2\nhalf")
    assert texts(tail) == ["1", "2"]
    write(log, "-whole\n3\n")
    again = restarted(log, tail)
    assert texts(again) == ["half-whole", "3"]


def test_several_rotations_while_nobody_read_are_read_in_their_order(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n")
    assert texts(tail) == ["1"]
    for number in (2, 3, 4):
        write(log, f"{number}\n")
        os.utime(log, (number, number))
        log.rename(log.with_name(f"audit-{number}.log"))
    write(log, "5\n")
    again = restarted(log, tail)
    assert texts(again) == ["2", "3", "4", "5"]


def test_where_the_old_file_is_gone_the_loss_is_told_and_the_new_one_read_whole(log: Path) -> None:
    tail = a_tail(log)
    write(log, "1\n")
    assert texts(tail) == ["1"]
    place = tail.place
    tail.close()
    log.unlink()
    write(log, "a new file with another beginning\n")
    found = all_of(a_tail(log, place, from_start=False))
    assert (found.lost, found.lines) == (True, [b"a new file with another beginning"])


def test_an_inode_that_is_used_again_is_another_file(log: Path) -> None:
    write(log, "xyz\nmore\n")
    place = Place(log.stat().st_ino, 4, 4, "another digest")
    found = all_of(a_tail(log, place))
    assert (found.lost, found.lines) == (True, [b"xyz", b"more"])


def test_a_line_of_ten_megabytes_is_skipped_in_bounded_memory_and_the_next_is_read(
    log: Path,
) -> None:
    tail = a_tail(log)
    write(log, "before\n" + "x" * (10 << 20))
    assert texts(tail) == ["before"]
    assert len(tail._rest) <= LINE_LIMIT
    again = restarted(log, tail)
    write(log, "\nafter\n")
    found = all_of(again)
    assert (found.lines, found.skipped) == ([b"after"], 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["a", "bb\n", "\n", "\x00\n", "rotate", "restart", "read"]), max_size=30
    )
)
def test_whatever_happens_each_whole_line_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    monkeypatch.setattr(tails, "CHUNK", 7)
    log = tmp_path_factory.mktemp("log") / "audit.log"
    log.touch()
    tail, written, rotated = a_tail(log), "", 0
    got = texts(tail)
    for step in steps:
        if step == "rotate":
            if not written.endswith("\n") or not log.stat().st_size:
                continue  # who rotates writes whole lines
            rotated += 1
            os.utime(log, (rotated, rotated))
            log.rename(log.with_name(f"audit-{rotated:03}.log"))
            log.touch()
        elif step == "restart":
            got += texts(tail)
            tail = restarted(log, tail)
        elif step == "read":
            got += texts(tail)
        else:
            write(log, step)
            written += step
    got += texts(tail)
    tail.close()
    whole = written[: written.rfind("\n") + 1]
    assert got == [line for line in whole.split("\n") if line]
