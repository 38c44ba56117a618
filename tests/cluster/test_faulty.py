"""The reflector before a real API server whose answers are torn, late, old, shuffled or missing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pytest

from engine.cluster.contexts import Context
from engine.cluster.reflector import Timing
from engine.model.watch import ChangeType
from tests.cluster.faulty import (
    Asked,
    Expire,
    Fault,
    Faulty,
    Freeze,
    Refuse,
    Shuffle,
    Slow,
    Tear,
    a_faulty_proxy,
    without_tls,
)
from tests.cluster.readers import Seen, a_reader, following
from tests.testbeds.manifests import an_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
SHORT = Timing(watch_s=(2, 4), tick_s=0.1, silence_s=3, beyond_s=1, denied_s=0.4, short_s=0.2)
CONFIGS = "/api/v1/configmaps"


def of_configs(fault: Fault) -> Any:
    """A plan in which the first watch of ConfigMaps meets `fault`."""
    left = [fault]

    def plan(asked: Asked) -> Fault | None:
        return left.pop() if left and asked.watch and asked.path == CONFIGS else None

    return plan


class Told:
    """The objects of a namespace as the changes made them; holds them to what changes may say."""

    def __init__(self, seen: Seen) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.deleted: Counter[str] = Counter()
        for change in seen.changes:
            uid = change.object["metadata"]["uid"]
            if change.type is ChangeType.DELETED:
                assert uid in self.objects, "deleted, and never told of"
                del self.objects[uid]
                self.deleted[uid] += 1
            else:
                known = self.objects.get(uid)
                assert (known is None) == (change.type is not ChangeType.MODIFIED)
                assert known is None or version(known) < version(change.object), "went back"
                self.objects[uid] = change.object

    def by_name(self) -> dict[str, int]:
        return {one["metadata"]["name"]: version(one) for one in self.objects.values()}


def version(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


def there(kube: Kube, namespace: str) -> dict[str, int]:
    return {one["metadata"]["name"]: version(one) for one in kube.list("ConfigMap", namespace)}


async def agreed(seen: Seen, kube: Kube, namespace: str, within_s: float = 60) -> Told:
    """Wait until what was told is what is there."""
    wanted = await asyncio.to_thread(there, kube, namespace)
    await seen.until(lambda: Told(seen).by_name() == wanted, "agreement", within_s)
    return Told(seen)


@pytest.fixture
async def faulty(kube: Kube) -> AsyncIterator[Faulty]:
    async with a_faulty_proxy(kube) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Refuse(410), []),
        (Refuse(429, retry_after_s=1), ["throttled"]),
        (Refuse(500), ["unavailable"]),
        (Expire(lines=2), ["expired"]),
        (Tear(after_bytes=700), ["malformed", "unreachable"]),
        (Freeze(after_bytes=700), ["timeout"]),
        (Slow(wait_s=0.3), []),
        (Shuffle(), []),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
async def test_after_each_fault_all_that_happened_is_known(
    kube: Kube, tmp_path: Path, faulty: Faulty, fault: Fault, told: list[str]
) -> None:
    namespace = kube.namespace()
    kube.create(*(an_object("ConfigMap", f"c{n}", namespace) for n in range(4)))
    faulty.plan = of_configs(fault)
    context = Context(str(without_tls(faulty.port, kube, tmp_path)))
    async with (
        a_reader(context, SHORT) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()

        def churn() -> None:
            for n in range(4, 8):
                kube.create(an_object("ConfigMap", f"c{n}", namespace))
                kube.patch("ConfigMap", f"c{n}", namespace, data={"n": "1"})
            for n in range(3):
                kube.delete("ConfigMap", f"c{n}", namespace)

        await asyncio.to_thread(churn)
        found = await agreed(seen, kube, namespace)
        assert sum(found.deleted.values()) == 3
        assert set(seen.faults) <= {*told, "expired"} if told else True


async def test_any_mixture_of_faults_loses_nothing_and_doubles_nothing(
    kube: Kube, tmp_path: Path, faulty: Faulty
) -> None:
    namespace = kube.namespace()
    chance = random.Random(11)
    faults: list[Fault | None] = [
        Refuse(410), Refuse(429, 1), Refuse(500), Refuse(503), Expire(0), Expire(3), Tear(300),
        Tear(5000), Freeze(0), Freeze(2000), Slow(0.2), Shuffle(), Shuffle(), None, None,
    ]  # fmt: skip

    def plan(asked: Asked) -> Fault | None:
        ill = asked.path == CONFIGS and (asked.watch or chance.random() < 0.3)
        return chance.choice(faults) if ill else None

    context = Context(str(without_tls(faulty.port, kube, tmp_path)))

    living: list[str] = []
    turns = count()

    def churn() -> None:
        for turn in islice(turns, 20):
            action = chance.choice(("create", "create", "change", "delete"))
            if action == "create" or not living:
                living.append(f"m{turn}")
                kube.create(an_object("ConfigMap", living[-1], namespace))
            elif action == "change":
                kube.patch("ConfigMap", chance.choice(living), namespace, data={"t": str(turn)})
            else:
                name = living.pop(chance.randrange(len(living)))
                kube.delete("ConfigMap", name, namespace)

    async with (
        a_reader(context, SHORT) as reader,
        following(reader, "configmaps", namespace) as seen,
    ):
        await seen.live()
        faulty.plan = plan
        for _ in range(10):
            await asyncio.to_thread(churn)
            await asyncio.sleep(1)  # the faults need some time of their own
        faulty.heal()
        found = await agreed(seen, kube, namespace)
        assert set(found.deleted.values()) == {1}
        assert seen.faults


async def test_a_bad_server_among_many_delays_no_other(
    kube: Kube, tmp_path: Path, faulty: Faulty
) -> None:
    """Twelve readers of one process; the first has a server that takes a second for each piece."""
    namespace = kube.namespace()
    bad = Context(str(without_tls(faulty.port, kube, tmp_path)))
    faulty.plan = lambda _: Slow(1000)
    async with AsyncExitStack() as stack:
        all_seen = []
        for number in range(12):
            good = Context(str(kube.kubeconfig), kube.name)
            reader = await stack.enter_async_context(a_reader(bad if number == 0 else good, SHORT))
            watched = following(reader, "configmaps", namespace)
            all_seen.append(await stack.enter_async_context(watched))
        first, *others = all_seen
        for seen in others:
            await seen.live()
        await asyncio.to_thread(kube.create, an_object("ConfigMap", "news", namespace))
        for seen in others:
            await seen.until(lambda one=seen: one.told("news"), "news", 10)  # type: ignore[misc]
        assert first.changes == []


async def test_a_quiet_resource_is_never_listed_again(
    kube: Kube, tmp_path: Path, faulty: Faulty
) -> None:
    context = Context(str(without_tls(faulty.port, kube, tmp_path)))
    async with (
        a_reader(context, SHORT) as reader,
        following(reader, "leases.coordination.k8s.io", "nowhere") as seen,
    ):
        await seen.until(lambda: seen.status.restarts >= 3, "three watches", 30)
        assert dict(seen.status.relists) == {"start": 1}
        assert seen.faults == []
