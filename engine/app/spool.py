"""Spool: the lines of a replay wait on disk until the log has been read, however many.

The missions of a firing stand on the line of its opening, though they are launched when it has
settled, which may be much later; and a cluster may tell of an instant long after others did.
"""

import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from engine.model.firing import State, Step
from engine.model.ids import canonical
from engine.stream.replay import Line, line_of

_SCHEMA = """
PRAGMA journal_mode = OFF;
CREATE TABLE line (
    number INTEGER PRIMARY KEY, at INTEGER, rule TEXT, key BLOB, opens TEXT, body BLOB
);
CREATE TABLE launch (number INTEGER PRIMARY KEY, firing TEXT, mission TEXT);
CREATE INDEX launch_by_firing ON launch (firing);
BEGIN;
"""


class Spool:
    """Takes steps in, and gives their lines out; its file is gone when it is left."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        """Return the spool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop everything."""
        self._connection.close()

    def put(self, step: Step) -> None:
        """Take the transitions and launches of `step` in."""
        lines = [
            (
                told.at,
                told.rule,
                canonical(dict(told.key)),
                told.firing if told.state is State.FIRING else None,
                msgspec.json.encode(line_of(told)),
            )
            for told in step.transitions
        ]
        self._connection.executemany(
            "INSERT INTO line (at, rule, key, opens, body) VALUES (?, ?, ?, ?, ?)", lines
        )
        launches = [(launch.firing, launch.mission) for launch in step.launches]
        self._connection.executemany("INSERT INTO launch (firing, mission) VALUES (?, ?)", launches)

    def lines(self, start: int | None) -> Iterator[Line]:
        """Yield the lines from `start` on (microseconds), in order of time.

        At one instant they are in order of rule and key, and as they happened.
        """
        rows = self._connection.execute(
            "SELECT opens, body FROM line WHERE at >= ? ORDER BY at, rule, key, number",
            (-(2**63) if start is None else start,),
        )
        for opens, body in rows:
            line: Line = msgspec.json.decode(body)
            if opens is not None:
                line["missions"] = self._missions(opens)
            yield line

    def _missions(self, firing: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT mission FROM launch WHERE firing = ? ORDER BY number", (firing,)
        )
        return [mission for (mission,) in rows]
