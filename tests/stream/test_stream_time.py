"""Stream time comes from the log alone."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.model.signal import Signal
from engine.rules.rule import Absent
from engine.stream.stream_time import StreamTime, StreamTimeState
from tests.stream.building import Run, a_beat, a_metric, a_pod, a_rule, a_signal, seconds, us

LATE = 2


def at(*signals: Signal) -> float:
    """Return the stream time of c1 in seconds after `signals`."""
    found = Run(a_rule()).see(*signals).evaluator.stream_time("c1")
    assert found is not None
    return seconds(found)


def beat(when: float, source: str) -> Signal:
    return a_beat(when, source=source)


def pod(when: float, source: str = "api") -> Signal:
    return a_signal(when, "k8s.object", {"kind": "Pod", "uid": "u"}, source=source)


def test_there_is_none_before_the_first_signal() -> None:
    assert Run(a_rule()).evaluator.stream_time("c1") is None


def test_it_is_the_slowest_live_watcher_less_the_lateness() -> None:
    assert at(beat(100, "a"), beat(101, "b"), beat(110, "a")) == 101 - LATE


def test_a_watchers_signals_move_its_time_too() -> None:
    assert at(beat(100, "a"), beat(100, "b"), pod(107, "a"), pod(105, "b")) == 105 - LATE


def test_a_watcher_that_is_silent_for_thirty_seconds_of_the_others_time_is_left_out() -> None:
    assert at(beat(100, "a"), beat(100, "b"), beat(130, "a")) == 100 - LATE
    assert at(beat(100, "a"), beat(100, "b"), beat(130.1, "a")) == 130.1 - LATE


def test_a_watcher_that_sends_what_it_still_sees_without_heartbeats_is_left_out_for_good() -> None:
    start = [beat(100, "a"), beat(100, "b")]
    held = [*start, pod(126, "b"), beat(130, "a")]
    assert at(*held) == 126 - LATE
    assert at(*held, beat(131, "a")) == 131 - LATE
    assert at(*held, beat(131, "a"), pod(132, "b"), beat(150, "a")) == 150 - LATE
    assert at(*held, beat(131, "a"), beat(132, "b"), beat(150, "a")) == 132 - LATE


def test_what_a_watcher_told_before_it_fell_silent_is_not_absent_for_its_silence() -> None:
    rule = a_rule("gone", on="metric", by=("cluster",), absent=Absent("seen", 40_000_000, 0))
    sample = {"metric": "m", "labels": {}, "value": 1.0}

    def ends(*more: Signal) -> list[tuple[float, str]]:
        log = [beat(when, "a") for when in range(0, 400, 5)] + [beat(0, "b"), *more]
        log += [a_signal(when, "metric", sample, source="b") for when in (1, 25, 55, 85, 115)]
        return Run(rule).see(*sorted(log, key=lambda one: one.time)).moves

    assert ends() == []
    assert ends(*(beat(when, "b") for when in range(5, 400, 5))) == [(155, "firing")]
    assert ends(*(beat(when, "b") for when in range(300, 400, 5))) == [(340, "firing")]


def test_state_that_was_stored_before_heartbeats_were_told_apart_is_read() -> None:
    old = msgspec.msgpack.encode(
        [{"a": [us(100), True], "b": [us(90), True, None]}, us(100), us(88)]
    )
    time = StreamTime(2_000_000, msgspec.msgpack.decode(old, type=StreamTimeState))
    time.see("a", us(120), beat=True)
    assert time.mark == us(88)
    time.see("a", us(121), beat=True)
    assert time.mark == us(119)


def test_a_watcher_that_comes_back_counts_again() -> None:
    start = [beat(100, "a"), beat(100, "b"), beat(140, "a"), beat(150, "b"), beat(155, "a")]
    assert at(*start) == 150 - LATE


def test_a_log_without_heartbeats_moves_time_by_its_signals() -> None:
    assert at(pod(100, "x"), pod(160, "y")) == 160 - LATE


def test_a_source_without_heartbeats_does_not_hold_time_back_nor_push_it() -> None:
    assert at(beat(100, "a"), pod(101, "x"), beat(120, "a")) == 120 - LATE
    assert at(beat(100, "a"), pod(115, "x")) == 100 - LATE


def test_where_every_watcher_is_silent_signals_move_time() -> None:
    assert at(beat(100, "a"), pod(115, "x"), pod(140, "x")) == 140 - LATE


def test_clusters_have_their_own_time() -> None:
    seen = Run(a_rule()).see(a_beat(100), a_beat(500, cluster="c2"))
    assert seconds(seen.evaluator.stream_time("c1") or 0) == 100 - LATE
    assert seconds(seen.evaluator.stream_time("c2") or 0) == 500 - LATE


def test_advance_takes_timers_at_its_instant_and_never_goes_back() -> None:
    rule = a_rule(when="signal.data.ready == false", **{"for": "10s"})
    seen = Run(rule).see(a_pod(0, ready=False)).to(10)
    assert (10, "firing") in seen.moves
    before = seen.evaluator.stream_time("c1")
    assert seen.to(5).evaluator.stream_time("c1") == before


def test_a_timer_waits_until_stream_time_has_passed_it() -> None:
    rule = a_rule(when="signal.data.ready == false", **{"for": "10s"})
    seen = Run(rule).see(a_pod(0, ready=False), a_beat(12))
    assert len(seen.moves) == 1
    assert seen.see(a_beat(12.1)).moves[1] == (10, "firing")


def test_a_metric_of_the_future_moves_no_time_while_a_watcher_lives() -> None:
    assert at(a_beat(100), a_metric(100, 1), a_beat(105)) == 105 - LATE


MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 10**8), st.booleans()), min_size=1
)


@given(MOVES)
def test_it_never_goes_back(moves: list[tuple[str, int, bool]]) -> None:
    time = StreamTime(2_000_000)
    last = None
    for source, when, beats in moves:
        moved = time.see(source, when, beat=beats)
        assert time.mark is not None
        assert moved == (last is None or time.mark > last)
        last = time.mark


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-20, 40), st.booleans()), max_size=30)
)
def test_to_follow_is_to_see_in_one_piece(signals: list[tuple[str, int, bool]]) -> None:
    one, other, now = StreamTime(2_000_000), StreamTime(2_000_000), us(0)
    for source, step, beats in signals:
        instant = now + step * 1_000_000
        now = max(now, instant)
        one.see(source, instant, beat=beats)
        if beats or not other.follow(source, instant):
            other.see(source, instant, beat=beats)
        assert (one.dump(), one.news, one.leap) == (other.dump(), other.news, other.leap)


def test_sources_that_are_heard_no_more_are_let_go() -> None:
    time = StreamTime(0)
    for minute in range(1000):
        time.see("watcher", us(60 * minute), beat=True)
        time.see(f"job-{minute}", us(60 * minute), beat=False)
    assert len(time.sources) < 200
    assert {"watcher", "job-999"} <= time.sources.keys()
