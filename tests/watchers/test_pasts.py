"""The pasts of all series come back after a restart, and keep nobody waiting."""

import asyncio

from tests.watchers.days import NODE_CPU
from tests.watchers.sources import NOON
from watchers.followed import HOUR_S
from watchers.foresight import Bounds, Foresight
from watchers.memory import Forgetful
from watchers.pasts import PIECES, Pasts

NODES = [f"node-{n}" for n in range(200)]


def followed(*hours: int) -> Foresight:
    foresight = Foresight(Bounds())
    for hour in hours:
        at_s = NOON.timestamp() + hour * HOUR_S
        for place, node in enumerate(NODES):
            foresight.sample(NODE_CPU, {"node": node}, at_s, place / len(NODES))
    return foresight


def held(foresight: Foresight) -> dict[str, bytes]:
    return dict(foresight.pasts(lambda _: True))


async def kept_by(foresight: Foresight) -> Forgetful:
    memory = Forgetful()
    pasts = Pasts(memory, foresight)
    for _ in range(1 + PIECES):
        await pasts.keep()
    return memory


async def test_every_past_is_kept_once_in_sixty_looks_and_recalled() -> None:
    before = followed(0, 1, 2)
    memory = await kept_by(before)
    assert 1 < len(await memory.recall()) <= PIECES
    after = followed(2)
    await Pasts(memory, after).keep()
    assert held(after) == held(before)
    assert len(held(after)) == len(NODES)


async def test_others_have_a_turn_between_two_pieces_that_are_recalled() -> None:
    memory = await kept_by(followed(0, 1, 2))
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await Pasts(memory, followed(2)).keep()
    task.cancel()
    assert len(turns) >= len(await memory.recall()) - 1


async def test_a_piece_that_is_damaged_costs_only_itself() -> None:
    before = followed(0, 1, 2)
    memory = await kept_by(before)
    (damaged, *_) = await memory.recall()
    await memory.keep({damaged: b"\x00"})
    after = followed(2)
    await Pasts(memory, after).keep()
    lost = {name for name, past in held(before).items() if held(after).get(name) != past}
    assert 0 < len(lost) < len(NODES) / 5
