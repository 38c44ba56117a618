"""Replay: recorded signals through the engine's own evaluator."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from engine.app.collector import settle_memory
from engine.app.rule_files import load_paths
from engine.app.spool import Spool
from engine.bus.codec import decode
from engine.model.errors import DogwatchError
from engine.model.firing import State
from engine.model.instant import parse_rfc3339
from engine.model.signal import Signal
from engine.report.clean import clean_run
from engine.rules.rule import RuleSet
from engine.stream.replay import Line, diff, steps

PROGRESS_EVERY = 50_000
"""Signals between two words on how far it is."""
AT_WIDTH = len("2026-01-31T12:00:00.000000Z")
STATE_WIDTH = max(map(len, State))


def replayed(
    rules: Sequence[Path],
    signals: str,
    *,
    start: str | None = None,
    until: str | None = None,
    other: Sequence[Path] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the transitions of `signals` as dicts, in order of time.

    Args:
        rules: rule files or folders.
        signals: path of a file with one CloudEvent or batch a line; `-` is standard input.
        start: print from this instant on (RFC 3339).
        until: let stream time run on up to this instant (RFC 3339).
        other: a second rule set; then only the lines that differ are given, with `side`.

    Raises:
        RuleError, DogwatchError: a rule set or an argument was refused, or a line could not
            be read: unreadable lines are named, the rest is replayed.
    """
    bounds = {"start": instant("--from", start), "until": instant("--until", until)}
    ours, log = load_paths(rules), shown(records(signals), sys.stderr)
    theirs = None if other is None else load_paths(other)
    settle_memory()
    if theirs is None:
        yield from replay(ours, log, **bounds)
    else:
        yield from replay_both((ours, theirs), log, **bounds)


def replay(
    rules: RuleSet,
    log: Iterable[Sequence[Signal]],
    *,
    start: int | None = None,
    until: int | None = None,
) -> Iterator[Line]:
    """Yield one line for each transition that `log` gives under `rules`, in order of time.

    At one instant they are in order of rule and key, and as they happened. They are given out
    when the log has been read; until then they wait on disk, so memory does not grow with it.

    Args:
        rules: the rules.
        log: records of signals, in their order.
        start: give lines from this instant on (microseconds since 1970).
        until: pass over signals after this instant, and let stream time go on up to it.
            None: time stops where the log ends.
    """
    with Spool() as spool:
        for (step,) in steps([rules], log, until=until):
            spool.put(step)
        yield from spool.lines(start)


def replay_both(
    sets: tuple[RuleSet, RuleSet],
    log: Iterable[Sequence[Signal]],
    *,
    start: int | None = None,
    until: int | None = None,
) -> Iterator[Line]:
    """Yield the `diff` of `log` under two rule sets, in one pass; see `replay`."""
    with Spool() as ours, Spool() as theirs:
        for one, other in steps(sets, log, until=until):
            ours.put(one)
            theirs.put(other)
        yield from diff(ours.lines(start), theirs.lines(start))


def shown(log: Iterable[list[Signal]], terminal: TextIO) -> Iterator[list[Signal]]:
    """Yield the records of `log`, and tell a terminal now and then how many signals there were."""
    count, told, watched = 0, 0, terminal.isatty()
    for record in log:
        yield record
        count += len(record)
        if watched and count - told >= PROGRESS_EVERY:
            told = count
            terminal.write(f"\r{count:,} signals")
            terminal.flush()
    if told:
        terminal.write("\r\x1b[K")


def text_of(line: dict[str, Any]) -> str:
    """Return one transition as a line for a person."""
    key = ", ".join(f"{name}={value}" for name, value in line["key"].items())
    side = f"{line['side']} " if "side" in line else ""
    parts = [f"{side}{line['at']}", line["state"], line["rule"], f"{{{key}}}"]
    value = ", ".join(f"{name}={one}" for name, one in (line.get("value") or {}).items())
    parts += [part for part in (value, line.get("firing"), *line.get("missions", ())) if part]
    parts += [f"({line['reason']})"] if line.get("reason") else []
    at, state, *others = map(clean_run, parts)
    return "  ".join((at.ljust(len(side) + AT_WIDTH), state.ljust(STATE_WIDTH), *others))


def instant(option: str, text: str | None) -> int | None:
    """Return the instant that `text` names, in microseconds; None for None.

    Raises:
        DogwatchError: it is no RFC 3339 instant; names the `option`.
    """
    try:
        return None if text is None else parse_rfc3339(text)
    except ValueError as error:
        raise DogwatchError(f"{option}: {error}") from error


def records(path: str) -> Iterator[list[Signal]]:
    """Yield the signals of each line of `path` (`-`: standard input).

    A line that cannot be read is named on standard error; the rest goes on.

    Raises:
        DogwatchError: the file cannot be read.
    """
    with ExitStack() as stack:
        try:
            source = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise DogwatchError(f"--signals {path}: {error.strerror}") from error
        for number, line in enumerate(source, 1):
            text = line.strip()
            if not text:
                continue
            decoded = decode(text if text.startswith(b"[") else b"[" + text + b"]")
            for bad in decoded.bad:
                why = clean_run(f"{bad.reason}: {bad.detail}")
                sys.stderr.write(f"{path}:{number}: passed over: {why}\n")
            yield decoded.signals
