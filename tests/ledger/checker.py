"""What a ledger must give, and the comparison with what dogwatch made of it.

Nothing here comes from the engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.ledger.conditions import instant, spans
from tests.ledger.shapes import (
    CAUSED,
    ECHO,
    ECHOED,
    PAGED,
    PAIR,
    PAIRED,
    SECOND,
    conditions,
    rule_names,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.ledger.conditions import Event

MAX_CRASHES = 5


class Episode(NamedTuple):
    """One firing that must be: microseconds since T0, `resolved` None for one still open.

    That of an echo has the cluster, the name and the opening of the firing that it is about,
    that of a pair the later one of its two.
    """

    rule: str
    cluster: str
    name: str
    opened: int
    resolved: int | None


class Told(NamedTuple):
    """One delivery as a receiver got it."""

    sink: str
    key: str
    body: dict[str, Any]


@dataclass
class Found:
    """What dogwatch made of a ledger: episodes by firing id, missions, deliveries in order.

    `missions` are (id, firing, state, outcome, crashes).
    """

    episodes: dict[str, Episode]
    missions: list[tuple[str, str, str, str, int]]
    told: list[Told]

    def ids(self) -> set[str]:
        """Return the ids of the firings that the ledger alone decides.

        Not those of echoes: their id has the instant at which the second stage heard of them.
        """
        return {one for one, made in self.episodes.items() if shape_of(made.rule) != ECHO}


def expected(events: Iterable[Event], rules: int) -> list[Episode]:
    """Return the firings that `events`, of each cluster in order of time, must give."""
    by_key: dict[tuple[str, str, str, str], list[Event]] = defaultdict(list)
    for event in events:
        if event["data"]:
            by_key[*_stream(event), event["cluster"], event["data"]["name"]].append(event)
    known = rule_names(rules)
    found = []
    for (stream, lot, cluster, name), own in by_key.items():
        for shape, changes in conditions(stream, own):
            for opened, resolved in spans(changes):
                found.append(Episode(f"{shape}-{lot}", cluster, name, opened, resolved))
                if shape == ECHOED:
                    found.append(Episode(f"{ECHO}-{lot}", cluster, name, opened, None))
    return [one for one in [*found, *pairs(found)] if one.rule in known]


def pairs(found: Iterable[Episode]) -> list[Episode]:
    """Return the pairs that come of the episodes `found` of the first stage."""
    marked, stamped = (
        {
            (one.rule.rpartition("-")[2], one.cluster, one.name): one.opened
            for one in found
            if shape_of(one.rule) == shape
        }
        for shape in PAIRED
    )
    return [
        Episode(f"{PAIR}-{lot}", cluster, name, max(at, stamped[lot, cluster, name]), None)
        for (lot, cluster, name), at in marked.items()
        if (lot, cluster, name) in stamped
    ]


def faults(wanted: Sequence[Episode], found: Found, blows: int) -> list[str]:
    """Return every way in which `found` is not what must be, in words.

    A sink may see one repeat a blow, a process killed or stopped: the same key and content.
    """
    return [
        *_differences("firing", wanted, found.episodes.values()),
        *_mission_faults(found),
        *_told_faults(wanted, found, blows),
    ]


def _stream(event: Event) -> tuple[str, str]:
    """Return what shapes call the stream of a signal, and its lot."""
    data = event["data"]
    if event["type"] == "metric":
        name, _, lot = data["metric"].rpartition("-")
        return name, lot
    if event["type"] == "audit":
        return "audit", data["resource"].removeprefix("lot-")
    return event["type"], str(data["lot"])


def _differences(what: str, wanted: Iterable[Any], found: Iterable[Any]) -> Iterator[str]:
    should, does = Counter(wanted), Counter(found)
    for one, number in sorted((should - does).items(), key=str):
        yield f"{what} lost ({number}): {one}"
    for one, number in sorted((does - should).items(), key=str):
        yield f"{what} too much ({number}): {one}"


def _mission_faults(found: Found) -> Iterator[str]:
    made = found.episodes.items()
    owed = [firing for firing, episode in made if shape_of(episode.rule) in CAUSED]
    yield from _differences("mission of firing", owed, [one[1] for one in found.missions])
    for mission, _, state, outcome, crashes in found.missions:
        # No cluster of a ledger is configured: an honest report says that little is known. One
        # that was struck by so many kills is parked, and told as failed.
        wanted = ("failed", "failed") if crashes >= MAX_CRASHES else ("done", "partial")
        if (state, outcome) != wanted:
            yield f"mission {mission} ended '{state}' with '{outcome}' after {crashes} crashes"


def _told_faults(wanted: Sequence[Episode], found: Found, blows: int) -> Iterator[str]:
    first: dict[tuple[str, str], Told] = {}
    repeats: Counter[str] = Counter()
    for one in found.told:
        if (one.sink, one.key) in first:
            repeats[one.sink] += 1
        if first.setdefault((one.sink, one.key), one).body != one.body:
            yield f"{one.sink}: key {one.key} came with two contents"
    for sink, number in repeats.items():
        if number > blows:
            yield f"{sink}: {number} repeats after {blows} kills"
    heard = [_heard(one, found) for one in first.values()]
    yield from _differences("delivery", _to_be_told(wanted), heard)


def _to_be_told(wanted: Iterable[Episode]) -> Iterator[tuple[Any, ...]]:
    for rule, cluster, name, opened, resolved in wanted:
        key, shape = (rule, cluster, name, opened), shape_of(rule)
        at = None if shape in SECOND else opened
        yield "hook", "fire", *key, at
        if shape in PAGED:
            yield "pager", "fire", *key, at
        if resolved is not None:
            yield "hook", "resolve", *key, resolved
        if shape in CAUSED:
            yield "hook", "result", *key, None


def _heard(told: Told, found: Found) -> tuple[Any, ...]:
    data = told.body["data"]
    episode = found.episodes.get(data["incident"])
    # When the second stage heard of a firing depends on how long that took.
    timeless = data["change"] == "result" or (episode and shape_of(episode.rule) in SECOND)
    at = None if timeless else instant(data["at"])
    return (told.sink, data["change"], *(episode[:4] if episode else (data["incident"],)), at)
