"""The writer's loop: what is due goes on, what fails rests, who lost the lease writes nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.app.config import ChangesConfig
from engine.app.writing import AGAIN, AGAIN_MOST, ELSEWHERE, Writing
from engine.model.change_state import ChangeState as S
from tests.changes.a_cluster import a_shop
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from engine.app.leasing import Leases
    from engine.model.change_row import ChangeRow
    from engine.model.delivery import Delivery, Occasion

WITHIN_S = 10.0


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    a_shop(made.cluster)
    yield made
    made.close()


class Held:
    """The lease as it was when this writer took it."""

    def __init__(self, scene: Scene) -> None:
        self._epoch = scene.epoch

    def epoch(self, _name: str) -> int:
        return self._epoch

    def left_s(self, _name: str) -> float:
        return 10.0


@asynccontextmanager
async def writing(scene: Scene, **means: Any) -> AsyncIterator[Writing]:
    """Run the loop over the store of a scene."""
    settings = ChangesConfig(poll_s=0.02)
    held = cast("Leases", Held(scene))
    made = Writing(scene.store, replace(scene.means, **means), held, settings)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait({task})


async def until(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WITHIN_S):
        while not done():  # noqa: ASYNC110 - it is asked of a database
            await asyncio.sleep(0.01)


async def reached(scene: Scene, change: str, state: S) -> None:
    """Wait until a change is in a state."""
    await until(lambda: state_of(scene, change) is state)


def state_of(scene: Scene, change: str) -> S:
    row = scene.store.change(change)
    assert row is not None
    return row.state


async def test_what_is_due_goes_on_until_it_waits_for_people(scene: Scene) -> None:
    change = scene.drafted()
    async with writing(scene) as made:
        await reached(scene, change, S.AWAITING)
        assert made.problem == ""
    assert made.problem == ELSEWHERE


class Asks:
    """Tells people for a scene; about a change that is `faulty` it fails."""

    def __init__(self, scene: Scene, faulty: str) -> None:
        self._scene = scene
        self._faulty = faulty
        self.failed = 0

    def __call__(self, row: ChangeRow, occasion: Occasion, now: datetime) -> Sequence[Delivery]:
        if row.id == self._faulty:
            self.failed += 1
            raise RuntimeError("nobody knows why")
        return self._scene.asks(row, occasion, now)


async def test_one_that_fails_rests_longer_each_time_and_the_others_go_on(scene: Scene) -> None:
    a_shop(scene.cluster, "api")
    faulty, sound = scene.drafted(), scene.drafted(name="api")
    asks = Asks(scene, faulty)
    async with writing(scene, asks=asks):
        await reached(scene, sound, S.AWAITING)
        for times in range(1, 5):
            await until(lambda: asks.failed == times)  # noqa: B023 - it is awaited here
            await asyncio.sleep(0.1)  # many looks at the store later
            assert asks.failed == times, "it rests until the clock goes on"
            scene.clock.at += min(AGAIN * 2 ** (times - 1), AGAIN_MOST)
        await until(lambda: asks.failed == 5)
    assert state_of(scene, faulty) is S.PROPOSED


async def test_a_writer_whose_lease_another_one_took_writes_nothing(scene: Scene) -> None:
    async with writing(scene):
        scene.started()  # another one
        change = scene.drafted()
        await asyncio.sleep(0.3)
        assert state_of(scene, change) is S.DRAFT
    async with writing(scene):
        await reached(scene, change, S.AWAITING)


def test_pauses_have_an_end() -> None:
    assert AGAIN < AGAIN_MOST <= timedelta(minutes=10)
