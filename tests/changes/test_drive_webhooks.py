"""Changes in a cluster whose admission webhooks deny, change, hang and are down: clean ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.model.change_state import ChangeState
from tests.changes.a_real_scene import RealScene, a_real_scene
from tests.testbeds.audit import ACCOUNTS, changes
from tests.testbeds.identities import account
from tests.testbeds.manifests import a_deployment
from tests.testbeds.webhook import deny, hang, patch, to, webhook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from engine.model.change_row import ChangeRow
    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Answer, Request

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

S = ChangeState
OTHERWISE = patch({"op": "replace", "path": "/spec/replicas", "value": 2})


@pytest.fixture
async def scene(identities: Kube, tmp_path: Path) -> AsyncGenerator[RealScene]:
    async with a_real_scene(tmp_path, identities) as scene:
        scene.kube.create(a_deployment("web", scene.namespace))
        scene.kube.await_condition("Deployment", "web", "Available", scene.namespace)
        yield scene


def replicas(scene: RealScene) -> int:
    return int(scene.live("Deployment", "web")["spec"]["replicas"])


def sent(scene: RealScene) -> list[str]:
    return changes(scene.kube, scene.namespace)


async def worked_out(scene: RealScene) -> ChangeRow:
    """Let a mission propose three replicas, up to where a person is asked, or to its end."""
    return await scene.ran(scene.drafted("scale", params={"replicas": 3}), S.AWAITING)


async def applied(scene: RealScene, row: ChangeRow) -> ChangeRow:
    """Let a person approve, and the writer go on to the end."""
    assert row.state is S.AWAITING, row.reason
    scene.decide(row.id)
    return await scene.ran(row.id)


@pytest.mark.parametrize("judge", [deny("not on a Friday"), hang])
async def test_what_refuses_the_dry_run_ends_it_before_anybody_is_asked(
    scene: RealScene, judge: Callable[[Request], Answer]
) -> None:
    with webhook(scene.kube, scene.namespace, timeoutSeconds=3) as hook:
        hook.answers(to(ACCOUNTS, judge, dry_run=True))
        row = await worked_out(scene)
        asked = hook.asked(account("proposer"))
    assert row.state is S.DRY_RUN_FAILED, row.reason
    assert "judge.dogwatch.test" in row.reason
    assert len(asked) == 1
    assert sent(scene) == []


async def test_a_webhook_that_is_down_ends_it_before_anybody_is_asked(scene: RealScene) -> None:
    with webhook(scene.kube, scene.namespace) as hook:
        hook.goes_down()
        row = await worked_out(scene)
    assert row.state is S.DRY_RUN_FAILED, row.reason
    assert "failed calling webhook" in row.reason
    assert sent(scene) == []


@pytest.mark.parametrize("judge", [deny("not on a Friday"), hang])
async def test_what_refuses_the_write_is_asked_once(
    scene: RealScene, judge: Callable[[Request], Answer]
) -> None:
    with webhook(scene.kube, scene.namespace, timeoutSeconds=3) as hook:
        hook.answers(to(ACCOUNTS, judge, dry_run=False))
        row = await applied(scene, await worked_out(scene))
    assert row.state is S.PRECHECK_FAILED, row.reason
    assert "judge.dogwatch.test" in row.reason
    assert [one.rpartition(" ")[0] for one in sent(scene)] == ["patch deployments/scale/web"]
    assert replicas(scene) == 1


async def test_a_webhook_that_goes_down_after_the_approval_ends_it_unwritten(
    scene: RealScene,
) -> None:
    with webhook(scene.kube, scene.namespace) as hook:
        row = await worked_out(scene)
        hook.goes_down()
        row = await applied(scene, row)
    assert row.state is S.DRY_RUN_FAILED, row.reason
    assert sent(scene) == []
    assert replicas(scene) == 1


async def test_what_a_webhook_makes_of_it_is_what_is_asked_for_and_done(scene: RealScene) -> None:
    with webhook(scene.kube, scene.namespace, mutating=True) as hook:
        hook.answers(to(ACCOUNTS, OTHERWISE))
        row = await worked_out(scene)
        assert row.change is not None
        assert any("1 -> 2" in line for line in row.change.lines), row.change.lines
        row = await applied(scene, row)
    assert row.state is S.VERIFIED, row.reason
    assert sent(scene) == ["patch deployments/scale/web 200"]
    assert replicas(scene) == 2


async def test_what_a_webhook_makes_of_the_write_alone_is_not_taken_for_what_was_approved(
    scene: RealScene,
) -> None:
    with webhook(scene.kube, scene.namespace, mutating=True) as hook:
        hook.answers(to(ACCOUNTS, OTHERWISE, dry_run=False))
        row = await applied(scene, await worked_out(scene))
    assert row.state is S.NEEDS_HUMAN, row.reason
    assert "replicas 3 -> 2" in row.reason
    assert sent(scene) == ["patch deployments/scale/web 200"]
