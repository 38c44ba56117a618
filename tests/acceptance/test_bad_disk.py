"""A disk that is full or read-only: not ready, nothing lost, well again by itself."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.dogwatch import COMMAND
from tests.acceptance.lab import a_beat, a_lab, an_alarm
from tests.testbeds.missing import missing
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
SIZE_MIB = 8


@contextmanager
def a_small_disk(at: Path) -> Iterator[Path]:
    """Mount a file system of SIZE_MIB at the folder `at`."""
    at.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "dogwatch-test", str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("tmpfs", f"run the tests as root: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def test_a_full_disk_is_told_loses_nothing_acknowledged_and_heals_by_itself(
    tmp_path: Path,
) -> None:
    with a_small_disk(tmp_path / "data") as disk, a_lab(tmp_path) as lab:
        lab.fire("before")
        lab.await_told("fire", "before")
        pid = lab.dogwatch.process.pid

        fill(disk / "ballast")
        taken, refused = ["before"], 0
        for number in range(200):
            padded = an_alarm(f"full-{number}", data={"celsius": 50, "pad": "x" * 20_000})
            answer = lab.dogwatch.send([padded, a_beat()])
            if answer.status_code == 202:
                taken.append(f"full-{number}")
                continue
            assert answer.status_code == 503, answer.text
            assert answer.headers["retry-after"].isdigit()
            assert "disk" in answer.json()["error"]
            refused += 1
            if refused == 3:
                break
        assert refused == 3, "the disk never was full"
        status, text = lab.readiness()
        assert status == 503
        assert "disk is full" in text
        assert "signals.db" in text

        (disk / "ballast").unlink()
        assert eventually(lambda: lab.readiness()[0] == 200 or None, 15), lab.readiness()
        lab.fire("after")
        for subject in [*taken, "after"]:
            lab.await_told("fire", subject, 20)
        assert lab.dogwatch.process.pid == pid
        assert lab.dogwatch.process.running


def test_what_was_acknowledged_before_the_disk_was_full_survives_an_end_on_a_full_disk(
    tmp_path: Path,
) -> None:
    with a_small_disk(tmp_path / "data") as disk, a_lab(tmp_path) as lab:
        lab.fire("warm-up")
        lab.await_told("fire", "warm-up")
        fill(disk / "ballast")
        names = [f"n-{number}" for number in range(40)]
        taken = [name for name in names if lab.dogwatch.send([an_alarm(name), a_beat()]).is_success]
        lab.dogwatch.process.stop()
        (disk / "ballast").unlink()
        lab.dogwatch.start()
        lab.fire("after")
        for subject in [*taken, "after"]:
            lab.await_told("fire", subject, 20)


def test_a_read_only_data_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "data") as disk, a_lab(tmp_path) as lab:
        lab.dogwatch.process.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        command = [str(COMMAND), "run", "--config", str(lab.dogwatch.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "read-only" in done.stderr.lower()
        assert str(disk) in done.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def test_a_second_process_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with a_lab(tmp_path) as lab:
        environment = {**os.environ, "DOGWATCH_HTTP__LISTEN": '"127.0.0.1:0"'}
        done = subprocess.run(
            [str(COMMAND), "run", "--config", str(lab.dogwatch.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "another dogwatch" in done.stderr
        lab.fire("attic")
        lab.await_told("fire", "attic")
