"""A poll looks in its rhythm; it tells what is new, changed or gone, and never guesses."""

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine.model.errors import ClusterError, StoreError
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import ResourceStatus
from tests.watchers.sources import NOON, Script
from tests.watchers.virtual import VirtualClock, at_once
from watchers.aside import FEW
from watchers.memory import Forgetful
from watchers.polling import Fact, Look, Looked, poll
from watchers.registry import Scene

ALL = ("secrets", "endpoints")


def a_fact(name: str, source: str = "secrets", **data: Any) -> Fact:
    return Fact("certificate", name, {"name": name, **data}, source)


def looks(*found: Looked | Exception) -> Look:
    """Answer one after the other, the last one for ever."""
    left = list(found)

    async def look(at: datetime) -> Looked:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


def polled(
    look: Look, seconds: float, *, memory: Any = None, sources: Sequence[str] = ALL
) -> list[Signal]:
    """Return what is told within the first `seconds` of a poll each 60 s."""

    async def main() -> list[Signal]:
        kept = memory or Forgetful()
        scene = Scene(Script(), "uid", VirtualClock(), memory=lambda _: kept)
        told: list[Signal] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for signals in poll("certificates", scene, sources, 60, look):
                    told += signals
        return told

    return at_once(main())


def of(told: list[Signal], type_: str) -> list[tuple[str | None, str]]:
    return [(s.subject, s.data.get("change", "")) for s in told if s.type == type_]


def states(told: list[Signal]) -> list[tuple[str | None, str, str]]:
    return [(s.subject, s.data["state"], s.data["reason"]) for s in told if s.type == "watcher"]


def test_a_level_is_told_once_and_again_when_it_changes_and_each_hour() -> None:
    old, new = Looked([a_fact("web", days=9)]), Looked([a_fact("web", days=8)])
    assert len(of(polled(looks(old), 3590), "certificate")) == 1
    assert len(of(polled(looks(old, old, new), 3590), "certificate")) == 2
    assert len(of(polled(looks(old), 3700), "certificate")) == 2


def test_a_sample_is_told_at_each_look() -> None:
    sample = Fact("metric", "up", {"metric": "up", "value": 1.0}, "secrets", level=False)
    told = [s for s in polled(looks(Looked([sample])), 290) if s.type == "metric"]
    assert len(told) in {5, 6}
    assert len({s.id for s in told}) == len(told)


def test_looks_are_aligned_with_the_clock_and_shifted_for_each_cluster() -> None:
    seen: list[datetime] = []

    async def look(at: datetime) -> Looked:
        seen.append(at)
        return Looked()

    polled(look, 200)
    assert seen[0] == NOON
    gaps = {(b - a).total_seconds() for a, b in itertools.pairwise(seen[1:])}
    assert gaps == {60.0}
    assert (seen[1] - NOON).total_seconds() <= 60


def test_what_a_look_misses_is_told_as_deleted_with_all_that_was_known() -> None:
    told = polled(looks(Looked([a_fact("web", issuer="ca")]), Looked()), 100)
    assert of(told, "certificate") == [("web", ""), ("web", "deleted")]
    assert [s.data["issuer"] for s in told if s.type == "certificate"] == ["ca", "ca"]


def test_a_sampled_level_is_told_at_each_look_and_ends_as_others_do() -> None:
    found = Looked([replace(a_fact("web"), sampled=True)])
    told = of(polled(looks(found, found, found, Looked()), 290), "certificate")
    assert told == [("web", "")] * 3 + [("web", "deleted")]


def test_a_level_is_over_once_it_was_missed_for_as_long_as_the_look_has_patience() -> None:
    missed = Looked(patience=timedelta(minutes=5))
    some = Looked([a_fact("web"), a_fact("api")])
    again = Looked([a_fact("web")], patience=timedelta(minutes=5))
    told = [s for s in polled(looks(some, missed, again, missed), 600) if s.type == "certificate"]
    ends = {s.subject: (s.time - NOON).total_seconds() for s in told if s.data.get("change")}
    assert 300 <= ends["api"] <= 420
    assert 420 < ends["web"] <= 540


def test_a_source_that_cannot_be_read_takes_no_patience() -> None:
    missed = Looked(patience=timedelta(minutes=5))
    down = Looked(faults=dict.fromkeys(ALL, "unreachable: no route"))
    told = polled(looks(Looked([a_fact("web")]), *[down] * 20, missed), 1380)
    assert of(told, "certificate") == [("web", "")]


def test_what_is_missed_and_gone_for_sure_is_over_at_once() -> None:
    missed = Looked(patience=timedelta(hours=1), over=lambda data: data["node"] == "n1")
    some = Looked([a_fact("web", node="n1"), a_fact("api", node="n2")])
    told = of(polled(looks(some, missed), 100), "certificate")
    assert told == [("web", ""), ("api", ""), ("web", "deleted")]


def test_what_nobody_could_say_anything_of_is_not_missed() -> None:
    some = Looked([a_fact("shop/web"), a_fact("bank/api")])
    told = of(polled(looks(some, Looked(unsure={"shop/"})), 300), "certificate")
    assert told == [("shop/web", ""), ("bank/api", ""), ("bank/api", "deleted")]


def test_what_was_read_from_a_source_that_fails_is_not_missed() -> None:
    both = Looked([a_fact("web"), a_fact("host", "endpoints")])
    half = Looked([a_fact("web")], {"endpoints": "unreachable: no route"})
    told = polled(looks(both, half), 300)
    assert of(told, "certificate") == [("web", ""), ("host", "")]
    assert states(told) == [("endpoints", "unread", "unreachable")]


def test_a_look_that_fails_as_a_whole_is_told_for_every_source_and_taken_back() -> None:
    down = ClusterError("unavailable", "503")
    told = polled(looks(down, Looked([a_fact("web")])), 100)
    assert states(told) == [
        ("secrets", "unread", "unavailable"),
        ("endpoints", "unread", "unavailable"),
        ("secrets", "ok", ""),
        ("endpoints", "ok", ""),
    ]
    assert of(told, "certificate") == [("web", "")]


def test_a_look_that_hangs_ends_with_the_reason_timeout_and_is_tried_again() -> None:
    calls = 0

    async def look(at: datetime) -> Looked:
        nonlocal calls
        calls += 1
        await asyncio.sleep(10_000 if calls == 1 else 0)
        return Looked([a_fact("web")])

    told = polled(look, 200)
    assert ("secrets", "unread", "timeout") in states(told)
    assert of(told, "certificate") == [("web", "")]


def heartbeats(told: list[Signal]) -> list[float]:
    return [(s.time - NOON).total_seconds() for s in told if s.type == HEARTBEAT]


def test_heartbeats_go_on_between_looks_and_stop_while_a_source_cannot_be_read() -> None:
    told = polled(looks(Looked()), 121)
    beats = heartbeats(told)
    assert len(beats) >= 23
    assert all(5 <= b - a <= 5.1 for a, b in itertools.pairwise(beats))
    gone = Looked(faults={"endpoints": "unreachable: no route"})
    assert len(heartbeats(polled(looks(Looked(), gone), 600))) <= 13


def test_a_source_that_is_forbidden_or_missing_stops_no_heartbeat() -> None:
    lacking = Looked(faults={"secrets": "forbidden: no", "endpoints": "not-found: none"})
    ok = Looked(faults={"secrets": "forbidden: no"})
    assert len(heartbeats(polled(looks(ok), 100))) >= 15
    assert len(heartbeats(polled(looks(lacking), 100))) >= 15
    assert len(heartbeats(polled(looks(Looked(), lacking), 200))) >= 35


def slow(*lasts: float) -> Look:
    """Look for so many seconds each, the last one for ever."""
    left = list(lasts)

    async def look(at: datetime) -> Looked:
        await asyncio.sleep(left.pop(0) if len(left) > 1 else left[0])
        return Looked([a_fact("web")])

    return look


def test_there_is_no_heartbeat_before_the_first_look_is_over() -> None:
    told = polled(slow(40), 100)
    assert [(s.type, s.time) for s in told][:2] == [
        ("certificate", NOON + timedelta(seconds=40)),
        (HEARTBEAT, NOON + timedelta(seconds=40)),
    ]


def test_while_a_look_runs_no_heartbeat_speaks_of_the_time_since_it_began() -> None:
    started: list[float] = []
    inner = slow(0, 50)

    async def look(at: datetime) -> Looked:
        started.append((at - NOON).total_seconds())
        return await inner(at)

    beats = heartbeats(polled(look, 200))
    assert len(started) >= 3
    for start in started[1:]:
        assert not [beat for beat in beats if start + 0.1 < beat < start + 49.9]
        assert [beat for beat in beats if start - 5.1 <= beat <= start]


def polled_while(states: dict[str, str], sources: Sequence[str], name: str = "versions") -> int:
    """Return how many heartbeats came while the watch of resources had such faults."""

    async def main() -> int:
        scene = Scene(Script(), "uid", VirtualClock())
        scene.status.update({one: ResourceStatus(fault=fault) for one, fault in states.items()})
        told: list[Signal] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                async for signals in poll(name, scene, sources, 300, looks(Looked())):
                    told += signals
        return len(heartbeats(told))

    return at_once(main())


def test_what_is_only_read_from_the_api_does_not_beat_while_the_cluster_is_cut_off() -> None:
    gone = {"pods": "unreachable: no route", "nodes": "timeout: 10 s", "jobs": "forbidden: no"}
    part = {**gone, "nodes": ""}
    of_api = ("nodes", "/version")
    assert polled_while(gone, of_api) == 0
    assert polled_while(part, of_api) >= 11
    assert polled_while({"pods": "forbidden: no"}, of_api) >= 11
    assert polled_while(gone, ("prometheus", "nodes.metrics.k8s.io"), "metrics") >= 11
    assert polled_while(gone, ("nodes.metrics.k8s.io",), "metrics") == 0


def test_a_question_that_is_refused_stops_no_heartbeat_and_is_told() -> None:
    told = polled(looks(Looked(faults={"endpoints": "refused: 422 for sum(up"})), 100)
    assert states(told) == [("endpoints", "unread", "refused")]
    assert len(heartbeats(told)) >= 15


def test_what_vanished_while_nobody_looked_is_told_after_the_restart() -> None:
    memory = Forgetful()
    polled(looks(Looked([a_fact("web", issuer="ca"), a_fact("api")])), 30, memory=memory)
    told = polled(looks(Looked([a_fact("api")])), 30, memory=memory)
    assert sorted(of(told, "certificate")) == [("api", ""), ("web", "deleted")]
    assert of(polled(looks(Looked([a_fact("api")])), 30, memory=memory), "certificate") == [
        ("api", "")
    ]


def test_a_level_is_known_by_the_source_that_gave_it_last() -> None:
    memory = Forgetful()
    polled(looks(Looked([a_fact("web", "endpoints")])), 30, memory=memory)
    read = Looked([a_fact("web", "secrets")])
    down = Looked(faults={"secrets": "timeout: 10 s"})
    told = polled(looks(read, down), 100, memory=memory, sources=("secrets",))
    assert of(told, "certificate") == [("web", "")]
    assert of(polled(looks(down), 30, memory=memory, sources=("secrets",)), "certificate") == []


def test_what_another_version_remembered_is_learnt_anew() -> None:
    memory = Forgetful()
    asyncio.run(memory.keep({"certificate/web": b'{"of": "another form"}'}))
    assert of(polled(looks(Looked()), 30, memory=memory), "certificate") == []
    assert asyncio.run(memory.recall()) == {}


def test_what_was_known_by_a_source_that_is_no_longer_configured_is_over() -> None:
    memory = Forgetful()
    polled(looks(Looked([a_fact("host", "endpoints")])), 30, memory=memory)
    told = polled(looks(Looked()), 30, memory=memory, sources=("secrets",))
    assert of(told, "certificate") == [("host", "deleted")]


class Ailing(Forgetful):
    """A store that is away for the first calls."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("away")

    async def recall(self, keys: Collection[str] = ()) -> dict[str, bytes]:
        self._fail()
        return await super().recall(keys)

    async def keep(self, changes: Any) -> None:
        self._fail()
        await super().keep(changes)


def test_a_store_that_is_away_is_waited_for_and_loses_nothing() -> None:
    memory = Ailing(2)
    polled(looks(Looked([a_fact("web")])), 30, memory=memory)
    memory.failures = 1
    polled(looks(Looked([a_fact("web"), a_fact("api")])), 100, memory=memory)
    told = polled(looks(Looked()), 30, memory=memory)
    assert sorted(of(told, "certificate")) == [("api", "deleted"), ("web", "deleted")]


def test_a_watcher_with_nothing_to_read_ends_at_once() -> None:
    assert polled(looks(Looked()), 100, sources=()) == []


async def test_a_look_that_finds_much_is_told_as_one_that_finds_little() -> None:
    facts = [a_fact(f"c{n}", days=n) for n in range(FEW)]
    few, many = await first_of(facts[:3]), await first_of(facts)
    assert of(many, "certificate") == [(f"c{n}", "") for n in range(FEW)]
    assert [many[n].data for n in range(3)] == [few[n].data for n in range(3)]
    assert [s.type for s in many[FEW:]] == [s.type for s in few[3:]] == [HEARTBEAT]


async def first_of(facts: list[Fact]) -> list[Signal]:
    """Return what a first look that finds `facts` tells, in time that passes as it does."""
    scene = Scene(Script(), "uid", SystemClock())
    polled = poll("certificates", scene, ALL, 60, looks(Looked(facts)))
    async with contextlib.aclosing(polled) as batches:
        return await anext(batches)
