"""The state of a window as it is stored: small, for most of its samples are past undoing.

Of a sample that can not be undone only its instant, name, node and contributions matter; names
and nodes stand once, however many samples bear them.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat, takewhile
from typing import Any

import msgspec

from engine.stream.sample import Sample


class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The last sample of a series: its raw value for each measure; when, if that matters."""

    at: int
    raws: tuple[Any, ...]


class Past(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A sample past undoing: microseconds after the first, places of name and node in `texts`."""

    after: int
    name: int
    node: int
    given: tuple[Any, ...]


class WindowState(msgspec.Struct, array_like=True):
    """Samples past undoing, from `start` on, and those after; how many of them all have left.

    `series` are the places in `texts` of the series of `past`; empty where no measure has `latest`.
    `seen` is the last sample of each series, `layers` the states of layers round the window.
    """

    texts: list[str]
    start: int
    past: list[Past]
    series: list[int]
    samples: list[Sample]
    left: int
    seen: dict[str, Seen]
    layers: dict[str, Any] = {}


def packed(
    samples: Sequence[Sample], final: int, left: int, seen: dict[str, Seen], *, named: bool
) -> WindowState:
    """Return the state of a window; signals before `final` will not be undone any more.

    `named`: the series of every sample matters.
    """
    settled = list(takewhile(lambda one: one.at < final and not ends(one), samples))
    start = settled[0].at if settled else 0
    texts: dict[str, int] = {}
    past = [
        Past(
            one.at - start,
            texts.setdefault(one.name, len(texts)),
            texts.setdefault(one.node, len(texts)),
            one.given,
        )
        for one in settled
    ]
    series = [texts.setdefault(one.series, len(texts)) for one in settled] if named else []
    return WindowState(list(texts), start, past, series, list(samples[len(past) :]), left, seen)


def unpacked(state: WindowState) -> Iterable[Sample]:
    """Yield the samples of `state`, oldest first."""
    texts, start = state.texts, state.start
    series = [texts[place] for place in state.series] or repeat("")
    for one, about in zip(state.past, series, strict=False):
        yield Sample(start + one.after, about, texts[one.name], texts[one.node], given=one.given)
    for sample in state.samples:
        if sample.before is not None:
            sample.before = msgspec.convert(sample.before, Seen)
        yield sample


def ends(sample: Sample) -> bool:
    """Whether the sample tells of an end, or is no more than heard: these stay whole."""
    return sample.gone or not sample.counted
