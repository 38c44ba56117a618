"""Replay prints columns, and lets nothing from outside steer the terminal."""

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from engine.app.replaying import PROGRESS_EVERY, records, replayed, shown, text_of
from engine.model.errors import DogwatchError
from engine.model.signal import Signal


def a_line(**told: Any) -> dict[str, Any]:
    key = {"cluster": "prod", "workload": "web"}
    return {"at": "2026-03-01T12:00:00Z", "state": "firing", "rule": "storm", "key": key, **told}


def test_states_and_rules_stand_below_each_other() -> None:
    short = text_of(a_line())
    long = text_of(a_line(at="2026-03-01T12:00:00.123456Z", state="suppressed"))
    assert short.index("firing") == long.index("suppressed")
    assert short.index("storm") == long.index("storm")


def test_a_line_that_cannot_be_read_is_named_on_one_clean_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"id": "\\u001b[2J\\u009b31m", "specversion": "\\u001b]0;title\\u0007"}\n')
    assert list(records(str(log))) == [[]]
    told = capsys.readouterr().err
    assert told.startswith(f"{log}:1: passed over: ")
    assert told.removesuffix("\n").isprintable()


def test_an_instant_that_is_none_says_how_one_is_written() -> None:
    lines = replayed([], "-", until="tomorrow")
    with pytest.raises(DogwatchError, match=r"--until: 'tomorrow' is no instant; write for exam"):
        next(lines)


class Terminal(StringIO):
    """A text that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_long_log_says_how_far_it_is_on_a_terminal_only() -> None:
    terminal, pipe = Terminal(), StringIO()
    signal = Signal(id="a", source="s", type="metric", time=datetime(2026, 1, 1, tzinfo=UTC))
    log = [[signal] * PROGRESS_EVERY, [signal]]
    assert list(shown(log, terminal)) == list(shown(log, pipe)) == log
    assert f"{PROGRESS_EVERY:,} signals" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""
