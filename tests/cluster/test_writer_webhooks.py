"""What admission webhooks do to a write: clean errors, soon, and one request each."""

from time import monotonic

import pytest

from engine.cluster.writer import ClusterWriter
from engine.model.change import Operation, Verb
from engine.model.errors import ClusterError
from tests.cluster.readers import as_persona
from tests.cluster.writers import (
    a_kind,
    a_writer,
    an_operation,
    approved,
    live,
    sent,
    version,
)
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import Manifest, a_pod, an_object
from tests.testbeds.personas import ANY_KIND
from tests.testbeds.receiver import Answer
from tests.testbeds.webhook import NAME, deny, hang, patch, to, webhook

pytestmark = pytest.mark.real

SOON_S = 6.0


@pytest.fixture
def config(kube: Kube) -> Manifest:
    (made,) = kube.create(an_object("ConfigMap", "c", approved(kube), data={"a": "1"}))
    return made


def a_change(config: Manifest) -> Operation:
    return an_operation(Verb.PATCH, config, data={"a": "2"})


async def failure(writer: ClusterWriter, operation: Operation, at: str) -> ClusterError:
    began = monotonic()
    with pytest.raises(ClusterError) as caught:
        await writer.write(operation, version=at, dry_run=False)
    assert monotonic() - began < SOON_S
    return caught.value


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422, 429, 500, 503])
async def test_a_denial_is_a_refusal_whatever_its_code(
    kube: Kube, config: Manifest, code: int
) -> None:
    namespace = config["metadata"]["namespace"]
    with webhook(kube, namespace) as hook:
        hook.answers(deny("not on a Friday", code))
        async with a_kind(kube) as writer:
            error = await failure(writer, a_change(config), version(config))
            with pytest.raises(ClusterError, match="not on a Friday"):
                await writer.write(a_change(config), version=version(config), dry_run=True)
        assert len(hook.asked(ANY_KIND)) == 2
    assert error.reason == "refused"
    assert f'admission webhook "{NAME}" denied the request: not on a Friday' in str(error)
    assert live(kube, config) == config
    assert sent(kube, namespace) == 2


async def test_a_dry_run_shows_what_a_webhook_makes_of_it(kube: Kube, config: Manifest) -> None:
    added = {"op": "add", "path": "/data/sidecar", "value": "yes"}
    with webhook(kube, config["metadata"]["namespace"], mutating=True) as hook:
        hook.answers(patch(added))
        async with a_kind(kube) as writer:
            tried = await writer.write(a_change(config), version=version(config), dry_run=True)
            made = await writer.write(a_change(config), version=version(config), dry_run=False)
        assert [each["dryRun"] for each in hook.asked(ANY_KIND)] == [True, False]
    assert tried is not None
    assert made is not None
    assert tried["data"] == made["data"] == {"a": "2", "sidecar": "yes"}


async def test_a_webhook_that_refuses_to_be_tried_stops_the_dry_run(
    kube: Kube, config: Manifest
) -> None:
    with webhook(kube, config["metadata"]["namespace"]) as hook:
        hook.answers(to(ANY_KIND, deny("no rehearsals"), dry_run=True))
        async with a_kind(kube) as writer:
            with pytest.raises(ClusterError, match="no rehearsals") as refused:
                await writer.write(a_change(config), version=version(config), dry_run=True)
        assert len(hook.asked(ANY_KIND)) == 1
    assert refused.value.reason == "refused"


async def test_a_webhook_that_hangs_ends_a_write_at_its_own_time(
    kube: Kube, config: Manifest
) -> None:
    namespace = config["metadata"]["namespace"]
    with webhook(kube, namespace, timeoutSeconds=1) as hook:
        hook.answers(hang)
        async with a_kind(kube) as writer:
            error = await failure(writer, a_change(config), version(config))
        assert len(hook.asked(ANY_KIND)) == 1
    assert error.reason == "refused"
    assert f'failed calling webhook "{NAME}"' in str(error)
    assert live(kube, config) == config
    assert sent(kube, namespace) == 1


async def test_a_webhook_that_hangs_for_long_ends_a_write_at_ours(
    kube: Kube, config: Manifest
) -> None:
    namespace = config["metadata"]["namespace"]
    with webhook(kube, namespace, timeoutSeconds=30) as hook:
        hook.answers(hang)
        async with a_writer(as_persona(kube), act_as=ANY_KIND, patience_s=1) as writer:
            error = await failure(writer, a_change(config), version(config))
        assert len(hook.asked(ANY_KIND)) == 1
    assert error.reason in {"timeout", "refused"}
    assert live(kube, config) == config
    assert sent(kube, namespace) == 1


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_webhook_that_is_down_is_as_its_policy_says(
    kube: Kube, config: Manifest, policy: str
) -> None:
    namespace = config["metadata"]["namespace"]
    with webhook(kube, namespace, failurePolicy=policy) as hook:
        hook.goes_down()
        async with a_kind(kube) as writer:
            if policy == "Fail":
                error = await failure(writer, a_change(config), version(config))
                assert error.reason == "refused"
                assert f'failed calling webhook "{NAME}"' in str(error)
            else:
                await writer.write(a_change(config), version=version(config), dry_run=False)
    assert live(kube, config)["data"] == {"a": "1" if policy == "Fail" else "2"}
    assert sent(kube, namespace) == 1


@pytest.mark.parametrize("answer", [Answer(500), Answer(200, b"nonsense"), Answer(drop=True)])
async def test_a_webhook_that_answers_nonsense_refuses(
    kube: Kube, config: Manifest, answer: Answer
) -> None:
    namespace = config["metadata"]["namespace"]
    with webhook(kube, namespace) as hook:
        hook.answers(lambda _: answer)
        async with a_kind(kube) as writer:
            error = await failure(writer, a_change(config), version(config))
    assert error.reason == "refused"
    assert live(kube, config) == config
    assert sent(kube, namespace) == 1


async def test_a_webhook_refuses_an_eviction(kube: Kube) -> None:
    namespace = approved(kube)
    kube.create(a_pod("p", namespace))
    kube.await_condition("Pod", "p", "Ready", namespace)
    pod = kube.get("Pod", "p", namespace)
    with webhook(kube, namespace) as hook:
        hook.answers(deny("this one stays", 429))
        async with a_kind(kube) as writer:
            error = await failure(writer, an_operation(Verb.EVICT, pod), version(pod))
    assert error.reason == "refused"
    assert "deletionTimestamp" not in live(kube, pod)["metadata"]
    assert sent(kube, namespace) == 1
