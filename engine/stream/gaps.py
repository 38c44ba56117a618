"""Gaps: what a key must know of times in which nobody was there to tell.

Watchers that fall silent and come back matter to absences, leaps of stream time to schedules.
Both reach the keys as samples, at their own instants, so that order and undoing are as for all.
"""

from collections.abc import Iterable, Iterator, Sequence

from engine.stream.absence import Word
from engine.stream.reader import Reader
from engine.stream.sample import Sample
from engine.stream.schedule import LEAP, missed
from engine.stream.stream_time import Silence


def silences(news: Iterable[Silence], before: int, mark: int) -> Iterator[Sample]:
    """Yield what an absence must know, as stream time moves from `before` to `mark`."""
    for source, since, back in news:
        if since is not None:
            yield _sample(max(since + 1, before), "", (Word.SILENT.value, source))
        if back is not None:
            yield _sample(max(back, mark), "", (Word.BACK.value, source))


def told_of_gaps(
    reader: Reader, silent: Sequence[Sample], start: int, mark: int
) -> Sequence[Sample]:
    """Return what a key of `reader` must know of gaps.

    Args:
        reader: of its rule.
        silent: what `silences` gave.
        start: from where stream time leaps to `mark`; -1: it does not.
        mark: the new stream time.
    """
    if reader.rule.absent is not None:
        return silent
    schedule, instants = reader.rule.schedule, reader.means.instants
    if start < 0 or schedule is None or instants is None:
        return ()
    edge = missed(instants, schedule.catch_up, start, mark)
    return () if edge is None else (_sample(start, LEAP, (edge,)),)


def _sample(at: int, series: str, raws: tuple[str | int, ...]) -> Sample:
    return Sample(at, series, met=False, counted=False, heard=False, raws=raws)
