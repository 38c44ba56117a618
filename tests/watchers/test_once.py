"""A watcher that runs once says all that it sees, and ends however sick its sources are."""

import asyncio
from collections.abc import AsyncGenerator

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import ChangeType
from tests.watchers.sources import Script, an_object, change, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.events import EventsConfig
from watchers.objects import ObjectsConfig
from watchers.once import Once, active, once
from watchers.registry import Scene, kinds

PODS = {"objects": ObjectsConfig(resources=("pods",))}


class Lasting(Script):
    """Shows what the script has, and then nothing more, for ever."""

    async def watch(self, *asked: object) -> AsyncGenerator:  # type: ignore[type-arg]
        async for observation in super().watch(*asked):  # type: ignore[arg-type]
            yield observation
        await asyncio.Event().wait()


def ran(script: Script, limit_s: float = 30) -> tuple[dict[str, Once], Scene]:
    async def main() -> tuple[dict[str, Once], Scene]:
        scene = Scene(script, "uid", VirtualClock())
        return await once({**PODS, "events": EventsConfig()}, scene, limit_s), scene

    return at_once(main())


def names(signals: list[Signal]) -> list[str]:
    return [str(one.data.get("name")) for one in signals]


def test_all_that_was_there_is_found_and_the_run_ends_by_itself() -> None:
    pods = [change(ChangeType.SYNCED, an_object("Pod", name)) for name in ("a", "b")]
    found, _ = ran(Lasting({"pods": [saw(1, *pods)], "events": [saw(1)]}))
    assert names(found["objects"].found) == ["a", "b"]
    assert found["objects"].whole
    assert found["events"].found == []
    assert found["events"].whole


def test_a_source_that_cannot_be_read_ends_it_with_the_reason() -> None:
    denied = saw(1, fault="forbidden: pods is forbidden")
    found, scene = ran(Lasting({"pods": [denied], "events": [saw(1)]}))
    assert [one.type for one in found["objects"].signals] == ["watcher", HEARTBEAT]
    sources = {source.name: how for source, how in active(kinds()["objects"], scene)}
    assert sources["pods"] is not None
    assert sources["pods"].fault == "forbidden: pods is forbidden"
    assert sources["nodes"] is None


def test_a_source_that_says_nothing_is_given_up_at_the_limit() -> None:
    found, _ = ran(Lasting({"events": [saw(1)]}))
    assert not found["objects"].whole
    assert found["objects"].signals == []
