"""What was approved is stale as soon as its object is another one: then nothing is written.

INTERLEAVINGS says how many are tried; `make nightly` tries more.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from engine.changes.policy import load_policy
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import BAD, APort, a_node, a_shop, image_of
from tests.changes.a_scene import POLICY, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.model.ports import Writer

INTERLEAVINGS: Final = int(os.environ.get("INTERLEAVINGS", "80"))
S = ChangeState
ENDS: Final = {S.SUPERSEDED, S.PRECHECK_FAILED, S.CONFLICT}
BUDGET: Final = "budgets: {changes_per_hour: 1000}\n"
REQUESTS: Final = 9
"""Reads, reviews and dry runs from the precheck on; the last one is the write."""


class Busy(APort):
    """The port of the writer's process: something happens between two of its requests."""

    def __init__(self, scene: Interrupted, who: str) -> None:
        super().__init__(scene.cluster, who)
        object.__setattr__(self, "_scene", scene)

    async def get(self, resource: str, namespace: str, name: str) -> Any:
        self._scene.passes()  # type: ignore[attr-defined]
        return await super().get(resource, namespace, name)

    async def allowed(self, operation: Any) -> bool:
        self._scene.passes()  # type: ignore[attr-defined]
        return await super().allowed(operation)

    async def write(self, operation: Any, *, version: str, dry_run: bool) -> Any:
        self._scene.passes()  # type: ignore[attr-defined]
        return await super().write(operation, version=version, dry_run=dry_run)


class Interrupted(Scene):
    """A scene in which `act` is called before request number `at` of the writer."""

    act: Callable[[], None] | None = None
    at_request: int = 0
    requests: int = 0

    @property
    def acted(self) -> bool:
        """Whether `act` was called."""
        return self.act is None

    def port(self, who: str) -> Writer:
        return Busy(self, who)

    def passes(self) -> None:
        """Count a request, and act when it is time."""
        self.requests += 1
        if self.act is not None and self.requests >= self.at_request:
            act, self.act = self.act, None
            act()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Interrupted]:
    scene = Interrupted(tmp_path, load_policy("p.yaml", POLICY + BUDGET))
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


def changed(scene: Scene, name: str, random: Random) -> None:
    """Change one of the fields that are to be changed."""
    image = f"somebody/else:{random.random()}"
    containers = [{"name": "app", "image": image}]
    scene.cluster.edit(
        "Deployment", name, {"spec": {"template": {"spec": {"containers": containers}}}}
    )


def deleted(scene: Scene, name: str, random: Random) -> None:
    scene.cluster.remove("Deployment", name)


def made_anew(scene: Scene, name: str, random: Random) -> None:
    """Delete it, and make another one that is the same but for its uid."""
    scene.cluster.add(scene.cluster.remove("Deployment", name))


def owned(scene: Scene, name: str, random: Random) -> None:
    """Let a tool own it that would put back what is changed."""
    mark = random.choice(
        [
            ("annotations", "argocd.argoproj.io/tracking-id"),
            ("labels", "kustomize.toolkit.fluxcd.io/name"),
            ("annotations", "meta.helm.sh/release-name"),
            ("labels", "olm.owner"),
        ]
    )
    scene.cluster.edit("Deployment", name, {"metadata": {mark[0]: {mark[1]: "shop"}}})


ACTS: Final = (changed, deleted, made_anew, owned)


async def test_nothing_is_written_to_what_became_another_one(scene: Interrupted) -> None:
    seed = Random().randrange(1 << 32)
    print(f"seed {seed}")
    random = Random(seed)
    for number in range(INTERLEAVINGS):
        name = f"web-{number}"
        a_shop(scene.cluster, name)
        change = await scene.approved("rollback", name=name)
        before, act = len(scene.cluster.kept), random.choice(ACTS)
        scene.requests, scene.at_request = 0, random.randint(1, REQUESTS)
        scene.act = lambda act=act, name=name: act(scene, name, random)
        row = await scene.ran(change)
        what = f"{act.__name__} before request {scene.at_request}"
        assert scene.acted, f"{what}: only {scene.requests} were made"
        assert row.state in ENDS, f"{what}: {row.state} {row.reason}"
        assert len(scene.cluster.kept) == before, what
        if act is not deleted:
            assert (
                not scene.cluster.get("Deployment", name)["metadata"]
                .get("annotations", {})
                .get("dogwatch.dev/change")
            )
            scene.cluster.remove("Deployment", name)
        for revision in (1, 2):
            scene.cluster.remove("ReplicaSet", f"{name}-{revision}")


async def test_what_concerns_no_field_of_ours_does_not_matter(scene: Interrupted) -> None:
    for number in range(1, REQUESTS + 1):
        name = f"web-{number}"
        a_shop(scene.cluster, name)
        assert image_of(scene.cluster.get("Deployment", name)) == BAD
        change = await scene.approved("rollback", name=name)
        scene.requests, scene.at_request = 0, number
        label = {"metadata": {"labels": {"touched": "yes"}}}
        scene.act = lambda name=name, label=label: scene.cluster.edit("Deployment", name, label)
        row = await scene.ran(change, S.VERIFYING)
        assert row.state is S.VERIFYING, row.reason
        assert scene.acted
