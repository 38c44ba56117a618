"""How fast records are decoded and folded, beside what it takes to decode them alone.

Run `python -m tests.bench.evaluator [SIGNALS [REPLAYED]]`. One process, one core, seconds of CPU
time, all figures of a line in turns on the same records: `bare` is msgspec's decoder of
list[Signal] and nothing else, `decode` our codec with all its checks, `fold` decode and
evaluator, with the changes for the checkpoint taken every 5,000 signals, `stored` with these
written to SQLite as well. A fold is timed once every series has been seen.
"""

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final

import msgspec

from engine.app.collector import settle_memory
from engine.app.replaying import replay
from engine.app.rule_files import check_texts, good
from engine.bus.codec import decode
from engine.model.firing import Step
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.rules.rule import RuleSet
from engine.store.checkpoint import Commit
from engine.store.store import Store
from engine.stream.evaluator import Evaluator
from tests.bench.many_rules import rule_files
from tests.bench.traffic import CLUSTERS, RECORD, SERIES, Kind, metric, mixed, records, watched

CHECKPOINT: Final = 5_000
ROUNDS: Final = 3
WARM: Final = CLUSTERS * SERIES
RULES: Final = (1_000, 10_000)
_BARE: Final = msgspec.json.Decoder(list[Signal])
_MINUTE: Final = b"2026-01-01T00:00"

Keep = Callable[[int, Step, dict[str, bytes | None]], None]


def main(count: int, replayed: int) -> None:
    """Print the figures of `count` signals of each kind, and of a replay of `replayed`."""
    sets = {number: _loaded(number) for number in RULES}
    for name, kind in (("metrics", metric), ("objects", watched), ("mixed", mixed)):
        _compare(name, kind, count + WARM, sets)
    _state(sets[RULES[0]])
    _replay(sets[RULES[0]], replayed)


def _loaded(number: int) -> RuleSet:
    texts = rule_files(number)
    _progress(f"loading {number} rules")
    start = process_time()
    rules = good(check_texts(texts))
    _say(f"load {number:>6,} rules: {process_time() - start:.2f} s")
    return rules


def _compare(name: str, kind: Kind, count: int, sets: dict[int, RuleSet]) -> None:
    _progress(f"making {count:,} signals: {name}")
    log = list(records(kind, count))
    warm = WARM // RECORD
    counted = (len(log) - warm) * RECORD
    size = sum(map(len, log)) / len(log) / RECORD
    _say(f"{name}, {size:.0f} bytes each, {counted:,} signals")
    bare = _median(lambda: _decoded(log[warm:], _BARE.decode))
    alone = _median(lambda: _decoded(log[warm:], decode))
    _say(f"  bare {counted / bare:>9,.0f}/s   decode {counted / alone:>9,.0f}/s")
    first = 0.0
    for number, rules in sets.items():
        _progress(f"{name}: {number:,} rules")
        both = _median(partial(_folded, rules, log, warm))
        first = first or both
        _say(
            f"  {number:>6,} rules: fold {counted / both:>9,.0f}/s   {both / alone:.2f} x decode   "
            f"{both / bare:.2f} x bare   {both / first:.2f} x the time of {RULES[0]:,} rules"
        )
    _progress(f"{name}: into a store")
    stored = _median(lambda: _stored(sets[RULES[0]], log, warm))
    _say(f"  {RULES[0]:>6,} rules: stored {counted / stored:,.0f}/s, {stored / alone:.2f} x decode")


def _median(measure: Callable[[], float]) -> float:
    return median(measure() for _ in range(ROUNDS))


def _decoded(log: Sequence[bytes], decoder: Callable[[bytes], object]) -> float:
    settle_memory()
    start = process_time()
    for record in log:
        decoder(record)
    return process_time() - start


def _folded(rules: RuleSet, log: Sequence[bytes], warm: int) -> float:
    evaluator = Evaluator(rules)
    _fold(evaluator, log[:warm])
    settle_memory()
    start = process_time()
    _fold(evaluator, log[warm:])
    return process_time() - start


def _stored(rules: RuleSet, log: Sequence[bytes], warm: int) -> float:
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder, "bench.db"), clock=SystemClock())
        epoch = store.claim(0)

        def keep(offset: int, step: Step, changes: dict[str, bytes | None]) -> None:
            commit = Commit(offset, changes, transitions=step.transitions, launches=step.launches)
            store.commit(0, epoch, commit)

        evaluator = Evaluator(rules)
        _fold(evaluator, log[:warm], keep)
        settle_memory()
        start = process_time()
        _fold(evaluator, log[warm:], keep)
        spent = process_time() - start
        store.close()
    return spent


def _fold(evaluator: Evaluator, log: Sequence[bytes], keep: Keep | None = None) -> None:
    """Fold `log` with a checkpoint every so often, as the engine does."""
    pending, found = 0, Step()
    for offset, record in enumerate(log):
        step = evaluator.step(decode(record).signals)
        found = Step(found.transitions + step.transitions, found.launches + step.launches)
        pending += RECORD
        if pending >= CHECKPOINT:
            changes = evaluator.changes()
            if keep:
                keep(offset + 1, found, changes)
            pending, found = 0, Step()


def _state(rules: RuleSet) -> None:
    """Say how much the checkpoint holds for each key of a rule, and beside them."""
    evaluator, state = Evaluator(rules), dict[str, bytes | None]()
    for record in records(mixed, 3 * WARM):
        evaluator.step(decode(record).signals)
        state.update(evaluator.changes())
    sizes = {key: len(key) + len(value) for key, value in state.items() if value is not None}
    cells = [size for key, size in sizes.items() if key.startswith('["cell"')]
    rest = sum(sizes.values()) - sum(cells)
    _say(
        f"state: {len(cells):,} keys of rules, {sum(cells) / len(cells):,.0f} bytes each, "
        f"the largest {max(cells):,}; beside them {rest / CLUSTERS:,.0f} bytes a cluster"
    )


def _replay(rules: RuleSet, count: int) -> None:
    """Say how fast `count` signals replay, and what memory that takes on the way."""
    log, memory = list(records(mixed, 3 * WARM)), list[int]()
    decoding = _decoded(log, decode) / len(log) / RECORD
    lines, start = 0, process_time()
    for _ in replay(rules, _long(log, count, memory)):
        lines += 1
    spent = process_time() - start
    marks = "  ".join(f"{place * 10} %: {held >> 20} MiB" for place, held in enumerate(memory, 1))
    _say(
        f"replay of {count:,} signals: {count / spent:,.0f}/s, {spent / count / decoding:.2f} x "
        f"decode, {lines:,} lines; memory at {marks}"
    )


def _long(log: Sequence[bytes], count: int, memory: list[int]) -> Iterator[Sequence[Signal]]:
    """Yield `log` minute after minute until `count` signals are given; note the memory."""
    total, tenth = count // RECORD, max(1, count // RECORD // 10)
    for number in range(total):
        day, minute = divmod(number // len(log), 1440)
        at = b"2026-01-%02dT%02d:%02d" % (day + 1, minute // 60, minute % 60)
        record = (
            log[number % len(log)].replace(_MINUTE, at).replace(b'"id":"', b'"id":"%d/' % minute)
        )
        yield decode(record).signals
        if number % tenth == tenth - 1:
            memory.append(_resident())
            _progress(f"replay: {number * RECORD:,} signals")


def _resident() -> int:
    """Return the bytes of memory that the process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _say(text: str) -> None:
    _progress("")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*[*given, *(200_000, 1_000_000)[len(given) :]])
