"""Servers of the test beds start, are probed, stop, and never outlive the run that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.testbeds.process import NotReadyError, Server, eventually, reserve_port

_ROOT = Path(__file__).parent.parent.parent
_STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"

# A test run of its own: it starts a server in a thread that ends, as a fixture's may, and stays.
_RUN = """
import sys, threading
from pathlib import Path
from tests.testbeds.process import Server
code = "import time; print('up', flush=True); time.sleep(60)"
server = Server("child", [sys.executable, "-S", "-c", code], Path(sys.argv[1]) / "log")
def start():
    server.start()
    server.ready(lambda: "up" in server.tail() or None)
thread = threading.Thread(target=start)
thread.start()
thread.join()
print(server.pid, flush=True)
threading.Event().wait()
"""


def _python(folder: Path, code: str) -> Server:
    return Server("child", [sys.executable, "-S", "-c", code], folder / "child.log")


def _alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_a_server_runs_until_it_is_stopped_and_can_be_started_again(tmp_path: Path) -> None:
    server = _python(tmp_path, "import time; time.sleep(60)")
    server.start()
    first = server.pid
    assert first is not None
    assert _alive(first)
    server.stop()
    assert not _alive(first)
    server.start()
    second = server.pid
    assert second not in {None, first}
    server.stop()


def test_a_server_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.testbeds.process._GRACE_S", 0.2)
    server = _python(tmp_path, f"{_STUBBORN}; time.sleep(60)")
    server.start()
    server.ready(lambda: "up" in server.tail() or None)
    pid = server.pid
    server.stop()
    assert pid is not None
    assert not _alive(pid)


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    server = _python(tmp_path, "raise SystemExit('port is taken')")
    server.start()
    with pytest.raises(NotReadyError, match="child has ended; its log ends with:\nport is taken"):
        server.ready(lambda: None)
    server.stop()


def test_a_server_that_stays_silent_is_reported_when_the_time_is_over(tmp_path: Path) -> None:
    server = _python(tmp_path, "import time; time.sleep(60)")
    server.start()
    with pytest.raises(NotReadyError, match="child is not ready"):
        server.ready(lambda: None, timeout_s=0.1)
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's own")
def test_servers_die_with_the_run_that_started_them_even_when_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, tmp_path], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert eventually(lambda: not _alive(child) or None, timeout_s=0.3) is None
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    assert eventually(lambda: not _alive(child) or None, timeout_s=5.0)


def test_ports_are_free_and_handed_out_once() -> None:
    with ExitStack() as held:
        ports = [reserve_port(held) for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 for port in ports)


def test_a_probe_is_repeated_until_it_returns_something_or_the_time_is_over() -> None:
    answers = iter([None, None, "here"])
    assert eventually(lambda: next(answers), every_s=0.001) == "here"
    assert eventually(lambda: None, timeout_s=0.01, every_s=0.001) is None
