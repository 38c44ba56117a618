"""What is kept of objects is what the watcher of objects saw of them, since it began."""

import asyncio
from typing import Any

from engine.model.watch import Change, ChangeType
from tests.watchers.sources import an_object
from watchers.kept import Kept


def name_of(obj: dict[str, Any]) -> str | None:
    name: str = obj["metadata"]["name"]
    return None if name.startswith("skip") else name


def saw(kept: Kept, kind: ChangeType, *names: str) -> None:
    for name in names:
        kept.take("pods", Change(kind, an_object("Pod", name)))


def test_views_follow_the_objects_and_leave_out_those_without_one() -> None:
    kept = Kept()
    names = kept.of("pods", name_of)
    saw(kept, ChangeType.SYNCED, "web", "skip-me", "api")
    assert sorted(names.values()) == ["api", "web"]
    saw(kept, ChangeType.DELETED, "web")
    assert dict(names) == {"uid-api": "api"}


def test_what_a_watcher_saw_before_it_began_anew_is_over() -> None:
    kept = Kept()
    names = kept.of("pods", name_of)
    saw(kept, ChangeType.SYNCED, "gone")
    kept.settle("pods", whole=True)
    kept.expect(["pods"])
    assert not kept.whole("pods")
    assert not names
    saw(kept, ChangeType.SYNCED, "web")
    assert list(names.values()) == ["web"]


async def test_who_needs_a_resource_waits_until_it_is_listed_or_cannot_be() -> None:
    kept = Kept()
    kept.expect(["pods", "nodes"])
    waiting = asyncio.create_task(kept.ready("pods", "nodes", "secrets"))
    await asyncio.sleep(0)
    kept.settle("pods", whole=True)
    await asyncio.sleep(0)
    assert not waiting.done()
    kept.settle("nodes", whole=False)
    await asyncio.wait_for(waiting, 5)
    assert (kept.whole("pods"), kept.whole("nodes"), kept.pending) == (True, False, False)
