"""Tracks: buckets of a series, bounded, with gaps as gaps."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.track import Track


def a_track(*samples: tuple[float, float], most: int = 10, peak: bool = False) -> Track:
    track = Track(60, most, peak=peak)
    for at_s, value in samples:
        track.add(at_s, value)
    return track


def shown(track: Track) -> list[float | None]:
    return [None if isnan(value) else round(value, 3) for value in track.values]


def test_a_bucket_holds_the_mean_or_the_peak_of_its_samples_once_it_is_over() -> None:
    samples = ((600, 1.0), (630, 4.0), (659, 1.0), (660, 5.0))
    assert shown(a_track(*samples)) == [2.0]
    assert shown(a_track(*samples, peak=True)) == [4.0]


def test_a_gap_is_a_gap_and_never_a_zero() -> None:
    track = a_track((600, 1.0), (790, 2.0))
    assert shown(track) == [1.0, None, None]
    track.close(1000)
    assert shown(track) == [1.0, None, None, 2.0, None, None]
    assert track.end_s == 960


def test_only_the_newest_are_kept_however_long_the_gap_is() -> None:
    track = a_track(*((n * 60.0, float(n)) for n in range(20)), most=4)
    assert shown(track) == [15, 16, 17, 18]
    track.add(1e12, 1.0)
    assert shown(track) == [None] * 4


def test_what_comes_late_and_a_clock_that_goes_back_change_nothing() -> None:
    track = a_track((600, 1.0), (660, 2.0), (610, 9.0), (665, 4.0), (720, 1.0))
    track.close(0)
    assert shown(track) == [1.0, 3.0]


def test_a_past_is_taken_up_again_with_the_time_between_as_a_gap() -> None:
    packed = a_track((600, 1.0), (660, 2.0), (720, 3.0)).pack()
    again = Track(60, 10)
    assert again.resume(packed)
    again.add(850, 4.0)
    again.close(900)
    assert shown(again) == [1.0, 2.0, None, None, 4.0]
    begun = a_track((850, 4.0))
    assert begun.resume(packed)
    begun.close(900)
    assert shown(begun) == [1.0, 2.0, None, None, 4.0]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"odd",
        a_track((600, 1.0), (660, 2.0)).pack()[:-1],
        Track(30, 10).pack(),
        a_track(*((n * 60.0, 1.0) for n in range(20)), most=15).pack(),
    ],
    ids=["empty", "short", "cut", "another step", "too many"],
)
def test_what_is_no_past_of_that_kind_is_refused(packed: bytes) -> None:
    track = Track(60, 10)
    assert not track.resume(packed)
    assert shown(track) == []
    later = a_track((900, 1.0), (960, 1.0))
    assert not later.resume(a_track((600, 1.0), (660, 2.0)).pack())


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_make_a_track(packed: bytes) -> None:
    track = Track(60, 10)
    track.resume(packed)
    track.add(1e9, 1.0)
    assert len(track.values) <= 10


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e6, 1e6)), max_size=60))
def test_a_track_is_bounded_and_in_order_whatever_comes(samples: list[tuple[float, float]]) -> None:
    track = a_track(*samples, most=5)
    assert len(track.values) <= 5
    assert not track.values or not isnan(track.values[0]) or len(track.values) == 5
    assert track.last(0) == []
    assert list(map(str, track.last(3))) == list(map(str, [*track.values][-3:]))
