"""What the verbs do with quarantine: list, show, replay, drop."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.app.config import AppConfig
from engine.app.door import FUTURE, Sender, admitted
from engine.app.opening import Bus, open_bus, stored
from engine.app.reasons import ALLOWED
from engine.bus.codec import Bad
from engine.bus.topics import CONDITIONS_PARTITION
from engine.model.errors import DogwatchError, StoreError, nearest
from engine.model.instant import rfc3339, to_us
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.store.quarantine import OUTSIDE, Quarantined
from engine.store.store import Store

SHOWN = 2000
"""Bytes of an element that a list shows."""
TOGETHER = 100
"""Elements that are appended to the bus at once."""


@dataclass(frozen=True)
class Choice:
    """Which elements a person means: ids, those of one reason, or all; one of these."""

    ids: Sequence[str] = ()
    reason: str = ""
    all: bool = False

    def __post_init__(self) -> None:
        if sum(map(bool, (self.ids, self.reason, self.all))) != 1:
            raise DogwatchError("say which records: ID..., --reason REASON, or --all")


@dataclass
class Replayed:
    """What came of a replay, in elements; `signals` went onto the bus.

    `cut` are those of which too few bytes are kept to be read again.
    """

    signals: int = 0
    good: int = 0
    still: int = 0
    cut: int = 0

    def __str__(self) -> str:
        said = [f"{self.good} replayed ({self.signals} signals)"]
        if self.still:
            said.append(f"{self.still} still unreadable in whole or part, kept with the reason")
        if self.cut:
            said.append(f"{self.cut} kept: their bytes were cut, they cannot be read again")
        return "; ".join(said)


def listed(config: str, reason: str, limit: int) -> dict[str, Any]:
    """Return the newest elements, and of each reason how many are kept and ever were.

    Raises:
        DogwatchError: there is no such reason.
    """
    with stored(config) as (store, _):
        kept, ever = store.quarantine_kept(), store.quarantine_counts()
        if reason and reason not in {*ALLOWED, *ever}:
            raise DogwatchError(_no_reason(reason, [*ALLOWED]))
        rows = store.quarantined(limit, reason)
    counts = [{"reason": one, "kept": kept.get(one, 0), "ever": ever[one]} for one in sorted(ever)]
    records = [_plain(row, row.raw[:SHOWN].decode(errors="backslashreplace")) for row in rows]
    return {"records": records, "counts": counts}


def found(config: str, name: str) -> Quarantined:
    """Return the element with the id `name`. Raises StoreError where there is none."""
    with stored(config) as (store, _):
        row = store.quarantined_one(name)
        if row is None:
            raise StoreError(_no_id(name, store))
    return row


def whole(row: Quarantined) -> dict[str, Any]:
    """Return every field of an element as plain data, with what its reason allows."""
    return _plain(row, escaped(row.raw))


def _plain(row: Quarantined, text: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at,
        "partition": None if row.partition == OUTSIDE else row.partition,
        "offset": None if row.partition == OUTSIDE else row.offset,
        "reason": row.reason,
        "detail": row.detail,
        "allowed": ALLOWED.get(row.reason, ""),
        "headers": dict(row.headers),
        "size": row.size or len(row.raw),
        "kept": len(row.raw),
        "bytes": text,
    }


def shown(row: Quarantined) -> str:
    """Return an element as lines for a person; nothing in it steers a terminal."""
    size = f"{row.size or len(row.raw)}"
    if row.is_cut:
        size += f", of which the first {len(row.raw)} are kept"
    second = row.partition == CONDITIONS_PARTITION
    place = f"{'conditions' if second else f'partition {row.partition}'}, offset {row.offset}"
    lines = [
        f"id       {row.id}",
        f"time     {rfc3339(to_us(row.at)) if row.at else '-'}",
        f"place    {'came by HTTP' if row.partition == OUTSIDE else place}",
        f"reason   {row.reason}: {_inert(row.detail)}",
        f"allowed  {ALLOWED.get(row.reason, '-')}",
        *(f"header   {_inert(name)}: {_inert(text)}" for name, text in row.headers.items()),
        f"bytes    {size}",
        *("  " + line for line in escaped(row.raw).split("\n")),
    ]
    return "\n".join(lines)


def escaped(raw: bytes) -> str:
    r"""Return `raw` as text: what is no UTF-8, and what is not seen, as `\x..` or `\u....`."""
    return "\n".join(map(_inert, raw.decode(errors="backslashreplace").split("\n")))


def replay(config: str, choice: Choice) -> Replayed:
    """Look at elements again: the good go onto the bus and leave, the bad get their new reason.

    Raises:
        StoreError: an id is unknown, or store or bus refuse; what was done stays done, and what
            was appended twice counts once, by the ids of its signals.
    """
    with stored(config) as (store, settings):
        ids = _chosen(store, choice)
        return asyncio.run(_replay(store, settings, ids))


def drop(config: str, choice: Choice, *, sure: bool) -> int:
    """Forget elements for good; return how many.

    Raises:
        DogwatchError: an id is unknown; or there are several, and nobody is `sure`.
    """
    with stored(config) as (store, _):
        ids = _chosen(store, choice)
        if len(ids) > 1 and not sure:
            raise DogwatchError(f"{len(ids)} records would be dropped for good; say so by --yes")
        return store.drop_quarantined(ids)


async def _replay(store: Store, settings: AppConfig, ids: Sequence[str]) -> Replayed:
    done = Replayed()
    clock = SystemClock()
    async with open_bus(settings, store, clock) as bus:
        for start in range(0, len(ids), TOGETHER):
            names = ids[start : start + TOGETHER]
            rows = await asyncio.to_thread(_whole_ones, store, names, done)
            judged = [
                (row, *admitted(row.raw, clock.now(), _sender(row, settings))) for row in rows
            ]
            await _again(store, bus, judged, done)
    return done


def _sender(row: Quarantined, settings: AppConfig) -> Sender:
    """Return who sent `row`; where it was only too early, its source was found good before."""
    watched = {one.name for one in settings.clusters}
    known = row.partition != OUTSIDE
    return Sender(watched=watched, fixed=row.reason == FUTURE, known=known)


def _whole_ones(store: Store, names: Sequence[str], done: Replayed) -> list[Quarantined]:
    rows = [row for name in names if (row := store.quarantined_one(name)) is not None]
    done.cut += sum(row.is_cut for row in rows)
    return [row for row in rows if not row.is_cut]


async def _again(
    store: Store,
    bus: Bus,
    judged: Sequence[tuple[Quarantined, list[Signal], list[Bad]]],
    done: Replayed,
) -> None:
    """Append what is good; only then let go of it, so that a crash between loses nothing."""
    signals = [signal for _, good, _ in judged for signal in good]
    if signals:
        await bus.append(signals)
    well = [row.id for row, _, bad in judged if not bad]
    await asyncio.to_thread(store.drop_quarantined, well)
    await asyncio.to_thread(
        store.judge_quarantined, [(row, _parts(row, bad)) for row, _, bad in judged if bad]
    )
    done.signals += len(signals)
    done.good += len(well)
    done.still += len(judged) - len(well)


def _parts(row: Quarantined, bad: Sequence[Bad]) -> list[Quarantined]:
    return [
        Quarantined(row.offset, one.reason, one.detail, one.raw, headers=row.headers) for one in bad
    ]


def _chosen(store: Store, choice: Choice) -> list[str]:
    """Return the ids that are meant, the oldest first. Raises StoreError."""
    if choice.ids:
        known = set(store.quarantined_ids())
        unknown = [name for name in choice.ids if name not in known]
        if unknown:
            raise StoreError("; ".join(_no_id(name, store) for name in unknown))
        return list(dict.fromkeys(choice.ids))
    ids = store.quarantined_ids(choice.reason)
    if choice.reason and not ids:
        raise StoreError(_no_reason(choice.reason, list(store.quarantine_kept())))
    return ids


def _no_id(name: str, store: Store) -> str:
    guess = nearest(name, store.quarantined_ids())
    return (
        f"nothing in quarantine has the id '{_inert(name)}'{guess}; see `dogwatch quarantine list`"
    )


def _no_reason(reason: str, known: Sequence[str]) -> str:
    names = ", ".join(sorted(known)) or "none"
    return (
        f"nothing in quarantine has the reason '{_inert(reason)}'; known: {names}"
        f"{nearest(reason, known)}"
    )


def _inert(text: str) -> str:
    return "".join(_visible(text))


def _visible(text: str) -> Iterator[str]:
    for char in text:
        yield char if char.isprintable() else char.encode("unicode_escape").decode()
