"""Explain: why a key of a rule is in the state it is in, gate by gate. Reads, changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final

from engine.model.errors import DogwatchError, nearest
from engine.model.firing import Step, Transition
from engine.model.instant import rfc3339, to_us
from engine.model.signal import Signal
from engine.stream.cell import Cell
from engine.stream.evaluator import Evaluator
from engine.stream.gate import Gate
from engine.stream.gates import Scene, gates
from engine.stream.hold import Phase
from engine.stream.reader import Reader
from engine.stream.reasons import explain as sentence
from engine.stream.selection import Selection
from engine.stream.sight import Sight

_MOVES: Final = 10
_KEYS: Final = 20
_WHY: Final = 2


@dataclass(frozen=True)
class Explanation:
    """Why one key is in its state, or (key empty) how the rule stands without one.

    Attributes:
        rule, key: which rule, and the group key.
        at: stream time, RFC 3339.
        state: inactive, pending or firing.
        since: when that began, RFC 3339; empty where it is not known.
        gates: what had to be passed, in order.
        moves: the last transitions, oldest first: at, state and reason.
        counted: counters of the rule, such as missing_field.
        others: keys of the rule that are remembered, with their states.
        keyless: selected signals that lack a part of the group key, and so count for nothing.
    """

    rule: str
    key: Mapping[str, str]
    at: str
    state: str
    since: str
    gates: tuple[Gate, ...]
    moves: tuple[tuple[str, str, str], ...] = ()
    counted: Mapping[str, int] | None = None
    others: tuple[tuple[Mapping[str, str], str], ...] = ()
    keyless: int = 0


class Witness:
    """Remembers what a replay shows of one rule: the last signal of each key, and its moves."""

    def __init__(self, reader: Reader) -> None:
        """Watch the rule of `reader`."""
        self.last: dict[tuple[str, ...], Signal] = {}
        self.moves: list[Transition] = []
        self.keyless = 0
        self._reader = reader
        self._selections = [Selection(one) for one in reader.selectors]

    def see(self, signals: Iterable[Signal]) -> None:
        """Take note of the signals that the rule selects."""
        for signal in signals:
            if any(one.takes(signal) for one in self._selections):
                key = self._reader.key(Sight(signal, to_us(signal.time)))
                if key is None:
                    self.keyless += 1
                else:
                    self.last[key] = signal

    def hear(self, step: Step) -> None:
        """Take note of what was told of the rule."""
        name = self._reader.rule.name
        self.moves += [one for one in step.transitions if one.rule == name]


def reader_of(evaluator: Evaluator, rule: str, known: Iterable[str]) -> Reader:
    """Return the rule of this name. Raises DogwatchError that names the nearest of `known`."""
    found = evaluator.reader(rule)
    if found is None:
        names = sorted(known)
        listed = ", ".join(names[:_KEYS]) + (" ..." if len(names) > _KEYS else "")
        raise DogwatchError(f"no rule '{rule}'; known: {listed}{nearest(rule, names)}")
    return found


def explain(
    evaluator: Evaluator,
    rule: str,
    part: Mapping[str, str],
    seen: Witness,
    *,
    at: int | None = None,
) -> Explanation:
    """Return why the key of `rule` that has `part` is in its state.

    Args:
        evaluator: the evaluator, in the state to be explained.
        rule: name of the rule.
        part: a part of the group key; empty: the only key there is, of several none.
        seen: what was seen of the rule so far.
        at: the instant that it is, in microseconds; None: that of the newest signal seen, or
            the stream time.

    Raises:
        DogwatchError: no key has `part`, or several have; says which there are.
    """
    reader = evaluator.reader(rule)
    if reader is None:
        raise DogwatchError(f"no rule '{rule}'")
    cells = {cell.key: cell for cell in evaluator.cells(rule)}
    keys = sorted({*cells, *seen.last})
    key = _chosen(reader, keys, part)
    others = tuple((reader.named(one), _phase(cells.get(one))) for one in keys if one != key)
    cell = None if key is None else cells.get(key)
    named = {} if key is None else reader.named(key)
    moves = [one for one in seen.moves if dict(one.key) == named]
    if at is None:
        at = _time(evaluator, cell, seen)
    scene = Scene(at, None if key is None else seen.last.get(key), evaluator.open(), moves)
    return Explanation(
        rule=rule,
        key=named,
        at=rfc3339(at),
        state=_phase(cell),
        since=_since(cell),
        gates=tuple(gates(reader.rule, cell, scene)) if key is not None else (),
        moves=tuple((rfc3339(one.at), one.state.value, one.reason) for one in moves[-_MOVES:]),
        counted=dict(_counted(evaluator.counters(), rule)),
        others=others,
        keyless=seen.keyless,
    )


def why(
    evaluator: Evaluator, rule: str, part: Mapping[str, str], seen: Witness, at: int
) -> Iterator[str]:
    """Yield the gates of the first few keys of `rule` that have `part`, as lines."""
    reader = reader_of(evaluator, rule, ())
    keys = sorted({*(cell.key for cell in evaluator.cells(rule)), *seen.last})
    fits = [reader.named(key) for key in keys if _has(reader.named(key), part)]
    if not fits:
        yield f"no signal of the rule has such a key{_known(map(reader.named, keys))}"
    for key in fits[:_WHY]:
        found = explain(evaluator, rule, key, seen, at=at)
        yield f"{shown(key)} is {found.state}"
        yield from table(found.gates)
    if len(fits) > _WHY:
        yield f"and {len(fits) - _WHY} keys more"


def to_json(found: Explanation) -> dict[str, Any]:
    """Return `found` as plain data."""
    plain = {one.name: getattr(found, one.name) for one in fields(found)}
    plain["gates"] = [one.plain() for one in found.gates]
    plain["counted"] = dict(found.counted or {})
    plain["others"] = [{"key": dict(key), "state": state} for key, state in found.others]
    plain["moves"] = [{"at": at, "state": state, "reason": why} for at, state, why in found.moves]
    return plain


def to_text(found: Explanation) -> str:
    """Return `found` for a person: the state, the gates in columns, moves, counters, other keys."""
    lines = [f"{found.rule}  {shown(found.key)}".rstrip(), _headline(found)]
    if found.gates:
        lines += ["", *table(found.gates)]
    if found.keyless:
        lacks = f"{found.keyless} signals lack a part of the group key"
        lines += ["", f"{lacks}: give that a default in `by`, or it counts for nothing"]
    if found.moves:
        lines += ["", "last moves"]
        lines += [f"  {at}  {state:<10}  {sentence(why)}" for at, state, why in found.moves]
    if found.counted:
        lines += ["", "counted since the start"]
        lines += [f"  {name:<14}  {count}" for name, count in found.counted.items()]
    if found.others:
        lines += ["", "other keys" if found.key else "keys"]
        lines += [f"  {state:<8}  {shown(key)}" for key, state in found.others[:_KEYS]]
        if len(found.others) > _KEYS:
            lines.append(f"  and {len(found.others) - _KEYS} more")
    return "\n".join(lines)


def table(found: Sequence[Gate]) -> Iterator[str]:
    """Yield the gates in columns: name, verdict, what it says, details below."""
    names = max(len(one.name) for one in found)
    verdicts = max(len(one.verdict) for one in found)
    for one in found:
        yield f"  {one.name:<{names}}  {one.verdict:<{verdicts}}  {one.says}"
        yield from (f"  {'':<{names}}  {'':<{verdicts}}    {line}" for line in one.details())


def shown(key: Mapping[str, str]) -> str:
    """Return a group key as `name=value,name=value`, as commands take it."""
    return ",".join(f"{name}={value}" for name, value in key.items())


def _known(keys: Iterable[Mapping[str, str]]) -> str:
    listed = " | ".join(shown(key) for key in islice(keys, _WHY))
    return f"; there is {listed}" if listed else ""


def _headline(found: Explanation) -> str:
    if not found.key:
        count = len(found.others)
        return (
            f"at {found.at}: {count or 'no'} keys; give one of them as KEY"
            if count
            else (f"at {found.at}: no signal made anything of this rule true")
        )
    since = f" since {found.since}" if found.since else ""
    return f"{found.state.upper()}{since}, at {found.at}"


def _chosen(
    reader: Reader, keys: Sequence[tuple[str, ...]], part: Mapping[str, str]
) -> tuple[str, ...] | None:
    if not part:
        return keys[0] if len(keys) == 1 else None
    names = reader.rule.by
    for name in part:
        if name not in names:
            known = ", ".join(names)
            raise DogwatchError(
                f"the group key has no '{name}'; it has {known}{nearest(name, names)}"
            )
    fits = [key for key in keys if _has(reader.named(key), part)]
    if len(fits) == 1:
        return fits[0]
    listed = "".join(f"\n  {shown(reader.named(one))}" for one in islice(fits or keys, _KEYS))
    if fits:
        raise DogwatchError(f"{len(fits)} keys have {shown(part)}:{listed}")
    values = {name: {reader.named(one)[name] for one in keys} for name in part}
    near = next((nearest(one, values[name]) for name, one in part.items()
                 if one not in values[name]), "")  # fmt: skip
    known = f"; keys:{listed}" if listed else "; nothing of the rule is known"
    raise DogwatchError(f"nothing is known of a key with {shown(part)}{near}{known}")


def _has(key: Mapping[str, str], part: Mapping[str, str]) -> bool:
    return all(key.get(name) == value for name, value in part.items())


def _time(evaluator: Evaluator, cell: Cell | None, seen: Witness) -> int:
    """Return the newest instant known of the key's cluster, or of any."""
    newest = [to_us(one.time) for one in seen.last.values()]
    mark = None if cell is None else evaluator.stream_time(cell.cluster)
    return max([*newest, *([mark] if mark is not None else [])], default=0)


def _phase(cell: Cell | None) -> str:
    return Phase.INACTIVE.value if cell is None else cell.held.phase.value


def _since(cell: Cell | None) -> str:
    if cell is None or cell.held.phase is Phase.INACTIVE:
        return ""
    return rfc3339(cell.held.since)


def _counted(counters: Mapping[str, int], rule: str) -> Iterator[tuple[str, int]]:
    mark = f'{{rule="{rule}"'
    for name, count in sorted(counters.items()):
        if mark in name:
            what, _, labels = name.partition("{")
            reason = labels.partition('reason="')[2].partition('"')[0]
            yield f"{what} {reason}".rstrip(), count
