"""What stays of the signals of one cluster that wait, and what is given up. Pure.

By rising pressure: what was said before; of metrics some samples of each series; of levels all but
the last. What is critical stays at any pressure, and nothing changes its place.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

import msgspec

from engine.app.intake.entry import Entry
from engine.app.intake.worth import Worth

SERIES_REMEMBERED: Final = 100_000


class Pressure(IntEnum):
    """How much must be given up: each level sheds what those below it do, too."""

    NONE = 0
    DUPLICATES = 1
    METRICS = 2
    LEVELS = 3


class Reason(StrEnum):
    """Why a signal was shed: the label of the metric."""

    DUPLICATE = "duplicate"
    UNCHANGED = "unchanged"
    SAMPLED = "sampled"
    SUPERSEDED = "superseded"


PERIOD_US: Final[Mapping[Pressure, int]] = {
    Pressure.METRICS: 20_000_000,
    Pressure.LEVELS: 60_000_000,
}
"""One sample of a series in so much event time: a rule for a silent series waits for longer."""


class Samples:
    """When the next sample of each series is due. Each begins at a place of its own."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}

    def take(self, key: int, at: int, period_us: int) -> bool:
        """Say whether the sample at `at` is kept."""
        due = self._due.get(key)
        if due is None:
            if len(self._due) >= SERIES_REMEMBERED:
                self._due.clear()
            due = self._due[key] = at + key % period_us
        if at < due:
            return False
        self._due[key] = at + period_us
        return True


@dataclass
class Outcome:
    """What became of the entries of a cluster: those kept, in order, and those shed by reason."""

    kept: list[Entry]
    shed: list[tuple[Entry, Reason]] = field(default_factory=list)

    def counts(self) -> Counter[Reason]:
        """Return how many were shed for each reason."""
        return Counter(reason for _, reason in self.shed)


def shed(entries: Sequence[Entry], pressure: Pressure, samples: Samples) -> Outcome:
    """Return what stays of `entries`, which wait in this order, at `pressure`.

    Once again at the same pressure, all that stayed stays. A level that stands for those before
    it tells of the change from before all of them, as a watch that missed them would have.
    """
    outcome = Outcome(list(entries))
    if pressure >= Pressure.DUPLICATES:
        _drop(outcome, _doubled(outcome.kept))
        _drop(outcome, _unchanged(outcome.kept))
    if pressure >= Pressure.METRICS:
        _drop(outcome, _sampled_out(outcome.kept, pressure, samples))
    if pressure >= Pressure.LEVELS:
        _supersede(outcome)
    for entry in outcome.kept:
        entry.judged = max(entry.judged, pressure)
    return outcome


def _drop(outcome: Outcome, gone: Mapping[int, Reason]) -> None:
    """Move the entries at the given places from what is kept to what is shed."""
    if gone:
        outcome.shed.extend((outcome.kept[place], reason) for place, reason in gone.items())
        outcome.kept = [one for place, one in enumerate(outcome.kept) if place not in gone]


def _doubled(entries: Sequence[Entry]) -> dict[int, Reason]:
    """Find what has the id and the time of one before it; folding would count it as nothing."""
    first: dict[tuple[str, int], int] = {}
    return {
        place: Reason.DUPLICATE
        for place, one in enumerate(entries)
        if first.setdefault((one.id, one.at), place) != place
    }


def _unchanged(entries: Sequence[Entry]) -> dict[int, Reason]:
    """Find levels that say the same as the one before and the one after them.

    The first says since when it is so, and the last that it still is.
    """
    gone: dict[int, Reason] = {}
    for places in _runs(entries, {Worth.LEVEL}):
        contents = [_content(entries[place]) for place in places] if len(places) > 2 else []  # noqa: PLR2004 - first, middle, last
        for at in range(1, len(contents) - 1):
            if contents[at - 1] == contents[at] == contents[at + 1]:
                gone[places[at]] = Reason.UNCHANGED
    return gone


def _sampled_out(
    entries: Sequence[Entry], pressure: Pressure, samples: Samples
) -> dict[int, Reason]:
    period_us = PERIOD_US[pressure]
    return {
        place: Reason.SAMPLED
        for place, one in enumerate(entries)
        if one.worth is Worth.INFO
        and one.judged < Pressure.METRICS
        and not samples.take(one.key, one.at, period_us)
    }


def _supersede(outcome: Outcome) -> None:
    """Keep the last of each run of levels and samples of one key."""
    gone: dict[int, Reason] = {}
    for places in _runs(outcome.kept, {Worth.LEVEL, Worth.INFO}):
        if len(places) > 1:
            gone.update(dict.fromkeys(places[:-1], Reason.SUPERSEDED))
            first, last = outcome.kept[places[0]], outcome.kept[places[-1]]
            if last.worth is Worth.LEVEL:
                last.raw, last.content = _since(first.raw, last.raw), None
    _drop(outcome, gone)


def _runs(entries: Sequence[Entry], worths: Iterable[Worth]) -> Iterator[list[int]]:
    """Yield the places of each run of entries of one key; what is critical ends a run."""
    open_runs: dict[int, list[int]] = {}
    for place, one in enumerate(entries):
        if one.worth in worths:
            open_runs.setdefault(one.key, []).append(place)
        elif one.key in open_runs:
            yield open_runs.pop(one.key)
    yield from open_runs.values()


def _content(entry: Entry) -> int:
    """Return a number of what a level says, beside its versions and what was before it."""
    if entry.content is None:
        data = dict(msgspec.json.decode(entry.raw).get("data", {}))
        for name in ("resourceVersion", "old"):
            data.pop(name, None)
        shown = data.get("object")
        metadata = shown.get("metadata") if isinstance(shown, dict) else None
        if isinstance(shown, dict) and isinstance(metadata, dict):
            unversioned = {k: v for k, v in metadata.items() if k != "resourceVersion"}
            data["object"] = {**shown, "metadata": unversioned}
        entry.content = hash(msgspec.json.encode(data))
    return entry.content


def _since(first: bytes, last: bytes) -> bytes:
    """Return the signal `last` as one of the change since before `first`."""
    after: dict[str, Any] = msgspec.json.decode(last)
    data, start = after.get("data", {}), msgspec.json.decode(first).get("data", {})
    if after["type"] != "k8s.object" or data.get("change") != "modified":
        return last
    data["change"] = start.get("change", data["change"])
    data.pop("old", None)
    if "old" in start:
        data["old"] = start["old"]
    trimmed = dict.fromkeys([*start.get("trimmed", ()), *data.get("trimmed", ())])
    if trimmed:
        data["trimmed"] = list(trimmed)
    return msgspec.json.encode(after)
