"""A courier goes on whatever became of what it was at."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.app.delivering import Courier
from engine.model.delivery import Delivery, Occasion, Receipt
from engine.model.errors import Retryable
from engine.model.ports import SystemClock
from engine.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Overtaken:
    """A sink at which the first delivery is sent by another process while it is tried here."""

    def __init__(self, store: Store, *, refuses: bool) -> None:
        self.taken: list[str] = []
        self.all = asyncio.Event()
        self._store = store
        self._refuses = refuses

    async def send(self, delivery: Delivery, thread: Mapping[str, str] | None) -> Receipt:
        if not self.taken:
            self._store.sent(delivery.key, Receipt(), datetime.now(UTC))
        self.taken.append(delivery.key)
        if len(self.taken) > 1:
            self.all.set()
        elif self._refuses:
            raise Retryable("not now")
        return Receipt()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store.db", clock=SystemClock())
    yield store
    store.close()


def a_delivery(key: str) -> Delivery:
    return Delivery(
        key=key,
        sink="out",
        change=Occasion.FIRE,
        incident=f"f-{key}",
        rule="hot",
        group={},
        at=datetime.now(UTC),
        title="hot",
        severity="high",
        text="",
    )


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_delivery_that_another_process_sent_does_not_end_the_courier(
    store: Store, *, refuses: bool
) -> None:
    store.enqueue([a_delivery("one"), a_delivery("two")])
    sink = Overtaken(store, refuses=refuses)
    running = asyncio.create_task(Courier("out", sink, store, SystemClock()).run())
    async with asyncio.timeout(10):
        await sink.all.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert sink.taken == ["one", "two"]
