"""Waits after failures, and turns within a rate."""

import asyncio
import random

from engine.cluster.backoff import Backoff
from engine.cluster.pace import Pace


class Most(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_waits_double_up_to_half_a_minute_and_begin_anew_after_two_healthy_minutes() -> None:
    backoff = Backoff(Most())
    assert [backoff.next_s() for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    backoff.healthy_for(119)
    assert backoff.next_s() == 30
    backoff.healthy_for(120)
    assert backoff.next_s() == 0.8


def test_waits_are_drawn_from_the_whole_range_so_that_many_clients_spread() -> None:
    waits = []
    for seed in range(300):
        backoff = Backoff(random.Random(seed))
        waits.append([backoff.next_s() for _ in range(8)][-1])
    assert min(waits) < 1
    assert max(waits) > 29
    assert 13 < sum(waits) / len(waits) < 17


def test_the_server_is_left_alone_for_at_least_as_long_as_it_asked() -> None:
    assert Backoff(random.Random(1)).next_s(at_least_s=20) >= 20


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    pace, loop = Pace(100, burst=5), asyncio.get_running_loop()
    began = loop.time()
    for _ in range(5):
        await pace.turn()
    assert loop.time() - began < 0.03
    for _ in range(20):
        await pace.turn()
    assert 0.19 <= loop.time() - began < 1


async def test_waiting_turns_are_spread_also_when_asked_for_at_once() -> None:
    pace, loop = Pace(100, burst=1), asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(pace.turn() for _ in range(21)))
    assert loop.time() - began >= 0.19
