"""Comings and goings: what news of a cluster and the roster of its watchers mean to its fold.

A cluster is away until its first heartbeat, or until the fleet tells that it is there, and again
once the fleet tells that it left. What others send of one that left does not count: nobody would
end what it opens. One that never joined is known by such senders only, so there it does. News that
say what is known already change nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from engine.model.signal import NEWS, ROSTER, Signal
from engine.stream.reasons import Reason
from engine.stream.second_stage import cluster_signal, silence
from engine.stream.stream_time import StreamTime

_ENDS: Final[Mapping[str, Reason]] = {
    "left": Reason.CLUSTER_LEFT,
    "moved": Reason.CLUSTER_RENAMED,
    "recreated": Reason.CLUSTER_RECREATED,
}
"""Changes that end what is known of a cluster."""
_GOES: Final = frozenset({"left", "moved"})
_TOLD: Final[Mapping[str, str]] = {
    "joined": "joined",
    "recreated": "joined",
    "renamed": "renamed",
    "left": "left",
}
"""Changes that the second stage is told of, and as what."""
_ABOUT: Final = ("uid", "uidBefore", "before", "server", "source")
_ENDED: Final = "the watcher ended"


class Passage(NamedTuple):
    """What a signal of FOLD_ONLY means: whether all that is known ends, and why; what is told."""

    told: tuple[Signal, ...] = ()
    ends: Reason | None = None


def passage(time: StreamTime, cluster: str, signal: Signal, at: int) -> Passage:
    """Return what `signal` means to a cluster, and let its stream time know."""
    if signal.type == NEWS:
        return _news(time, cluster, signal, at)
    if signal.type == ROSTER:
        return Passage(tuple(_dismissed(time, cluster, at, _off_duty(time, cluster, signal))))
    if not time.away:
        return Passage()
    time.away = time.left = False
    return Passage((cluster_signal(cluster, "joined", at, {}),))


def _news(time: StreamTime, cluster: str, news: Signal, at: int) -> Passage:
    change, away = _word(news, "change"), time.away
    goes = change in _GOES
    if (change == "joined" and not away) or change not in {*_ENDS, *_TOLD}:
        return Passage()
    time.away = time.left = goes
    told: list[Signal] = []
    if goes:
        told += _dismissed(time, cluster, at, time.watchers())
        time.news.clear()  # there is no key left that should know
    if change in _TOLD and not (goes and away):
        about = {name: text for name in _ABOUT if (text := _word(news, name))}
        told.append(cluster_signal(cluster, _TOLD[change], at, about))
    return Passage(tuple(told), _ENDS.get(change))


def _dismissed(time: StreamTime, cluster: str, at: int, sources: Iterable[str]) -> Iterator[Signal]:
    """Forget watchers that ended; yield what ends the silences that were told of them."""
    for source in sources:
        if time.dismiss(source):
            yield silence(cluster, source, at, silent=False, reason=_ENDED)


def _off_duty(time: StreamTime, cluster: str, roster: Signal) -> list[str]:
    """Return the watchers of a cluster that are not on its roster; senders of others stay."""
    named = roster.data.get("watchers")
    on_duty = set(map(str, named)) if isinstance(named, list) else set[str]()
    start, end = "watchers/", f"/{cluster}"
    return [
        source
        for source in time.watchers()
        if source.startswith(start)
        and source.endswith(end)
        and source.removeprefix(start).removesuffix(end) not in on_duty
    ]


def _word(signal: Signal, name: str) -> str:
    word = signal.data.get(name, "")
    return word if isinstance(word, str) else ""
