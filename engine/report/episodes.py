"""A message of several firings as parts: which are new, which go on, which are over."""

from collections.abc import Iterable, Iterator, Sequence

from engine.model.delivery import Delivery, Episode
from engine.report.outline import (
    Banner,
    Item,
    Items,
    Line,
    Paragraph,
    Part,
    Span,
    Tone,
    code,
    dim,
    plain,
    toned,
)
from engine.report.words import ENDED_BY, counted, instant, lasted, measured, placed, tone_of

_AFTER = " · "


def tally_of(delivery: Delivery) -> str:
    """Return how many firings go on and how many are over, in words."""
    over = sum(one.over for one in delivery.episodes)
    firing = len(delivery.episodes) - over
    if not firing:
        return f"all {over} over" if over > 1 else "over"
    return f"{firing} firing, {over} over" if over else f"{firing} firing"


def news_of(delivery: Delivery) -> str:
    """Return where a firing is new, and where one is over, in a sentence each."""
    news = [one for one in delivery.episodes if one.fresh]
    new = "; ".join(_short(one) for one in news if not one.over)
    over = "; ".join(_short(one) for one in news if one.over)
    return " ".join([f"New: {new}."] * bool(new) + [f"Over: {over}."] * bool(over))


def episode_parts(delivery: Delivery, most: int) -> Iterator[Part]:
    """Yield the parts that list the firings of `delivery`, at most `most` of each kind."""
    episodes = delivery.episodes
    firing = [one for one in episodes if not one.over]
    tone = tone_of(delivery.severity) if firing else Tone.GOOD
    word = delivery.severity if firing else "resolved"
    since = delivery.since or delivery.at
    note = (dim(f"since {instant(since)}"),)
    kicker = (plain(f"{word} · {tally_of(delivery)}"),)
    yield Banner(tone, kicker, (plain(delivery.title),), note)
    new = [one for one in firing if one.fresh]
    going_on = [one for one in firing if not one.fresh]
    over = [one for one in episodes if one.over]
    yield from _listed("New", toned("●", tone), new, most)
    yield from _listed("Still firing", toned("○", tone), going_on, most)
    yield from _listed("Over", toned("✓", Tone.GOOD), over, most)


def _short(episode: Episode) -> str:
    return " ".join(filter(None, episode.group.values())) or episode.incident


def _listed(caption: str, mark: Span, episodes: Sequence[Episode], most: int) -> Iterator[Part]:
    if episodes:
        shown = (Item(mark, _line(one), tuple(_notes(one))) for one in episodes[:most])
        yield Items(tuple(shown), f"{caption} ({len(episodes)})")
    if len(episodes) > most:
        yield Paragraph((dim(f"… and {counted(len(episodes) - most, 'other')}."),))


def _line(episode: Episode) -> Line:
    where = placed(episode.group) or (code(episode.incident),)
    shown = measured(episode.value)
    return (*where, plain(_AFTER), *shown) if shown and not episode.over else where


def _notes(episode: Episode) -> Iterable[Line]:
    if episode.over:
        length = f"lasted {lasted(episode.since, episode.at)}" if episode.since else ""
        why = ENDED_BY.get(episode.reason, episode.reason)
        yield (dim("; ".join(filter(None, (length, why)))),)
        return
    if episode.summary:
        yield (dim(episode.summary),)
    if episode.since is not None:
        yield (dim(f"since {instant(episode.since)}"),)
