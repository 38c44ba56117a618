"""Writing to a real cluster: each verb, as a dry run and for good, of exactly what was meant."""

import json
from pathlib import Path

import pytest

from engine.model.change import Operation, Verb
from tests.cluster.proxy import a_proxy
from tests.cluster.readers import through
from tests.cluster.writers import (
    a_config,
    a_kind,
    a_target,
    a_web,
    a_writer,
    an_operation,
    approved,
    failure,
    live,
    sent,
    version,
)
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import Manifest, a_pod, an_object
from tests.testbeds.personas import ANY_KIND

pytestmark = pytest.mark.real

NOTE = {"metadata": {"annotations": {"dogwatch.dev/change": "c-1"}}}
OTHER_UID = "00000000-0000-0000-0000-000000000000"


async def test_an_object_is_read_whole_but_for_secret_values(kube: Kube) -> None:
    last = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"a":"aHVudGVyMg=="}}'}
    namespace = approved(kube)
    kube.create(
        an_object(
            "Secret", "s", namespace, data={"a": "aHVudGVyMg=="}, metadata={"annotations": last}
        )
    )
    async with a_kind(kube) as writer:
        secret = await writer.get("secrets", namespace, "s")
        assert await writer.identity() == kube.get("Namespace", "kube-system")["metadata"]["uid"]
    assert secret["metadata"]["managedFields"]
    assert secret["data"]["a"].startswith("salted-sha256:")
    assert "aHVudGVyMg" not in json.dumps(secret)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_patch_answers_with_the_object_that_it_makes(kube: Kube, dry_run: bool) -> None:
    before = a_config(kube, a="1", b="2")
    operation = an_operation(Verb.PATCH, before, data={"a": "3", "b": None}, **NOTE)
    async with a_kind(kube) as writer:
        answer = await writer.write(operation, version=version(before), dry_run=dry_run)
    assert answer is not None
    assert answer["data"] == {"a": "3"}
    after = live(kube, before)
    assert after["data"] == ({"a": "1", "b": "2"} if dry_run else {"a": "3"})
    managers = {each["manager"] for each in after["metadata"]["managedFields"]}
    assert ("dogwatch" in managers) is not dry_run
    assert "madeBy" not in answer


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_scale_answers_with_the_object_that_it_scales(kube: Kube, dry_run: bool) -> None:
    before = a_web(kube, approved(kube))
    operation = an_operation(Verb.SCALE, before, spec={"replicas": 3})
    async with a_kind(kube) as writer:
        answer = await writer.write(operation, version=version(before), dry_run=dry_run)
    assert answer is not None
    assert (answer["kind"], answer["spec"]["replicas"]) == ("Deployment", 3)
    assert answer["spec"]["template"] == before["spec"]["template"]
    assert live(kube, before)["spec"]["replicas"] == (1 if dry_run else 3)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_apply_owns_what_it_says(kube: Kube, dry_run: bool) -> None:
    before = a_config(kube, a="1")
    operation = an_operation(
        Verb.APPLY, before, apiVersion="v1", kind="ConfigMap", data={"mine": "2"}
    )
    async with a_kind(kube) as writer:
        answer = await writer.write(operation, version=version(before), dry_run=dry_run)
    assert answer is not None
    assert answer["data"] == {"a": "1", "mine": "2"}
    assert ("mine" in live(kube, before)["data"]) is not dry_run
    owners = {(e["manager"], e["operation"]) for e in answer["metadata"]["managedFields"]}
    assert ("dogwatch", "Apply") in owners


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_apply_makes_what_is_not_there_and_only_that(kube: Kube, dry_run: bool) -> None:
    wanted = an_object("ConfigMap", "new", approved(kube), data={"a": "1"})
    operation = an_operation(Verb.APPLY, wanted, **wanted)
    async with a_kind(kube) as writer:
        answer = await writer.write(operation, version="", dry_run=dry_run)
        assert answer is not None
        assert answer["data"] == {"a": "1"}
        assert kube.exists("ConfigMap", "new", a_target(wanted).namespace) is not dry_run
        if not dry_run:
            assert (await failure(writer, operation, "")).reason == "conflict"


@pytest.mark.parametrize("verb", [Verb.EVICT, Verb.DELETE])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_goes_away_is_gone_only_for_good(kube: Kube, verb: Verb, dry_run: bool) -> None:
    namespace = approved(kube)
    kube.create(a_pod("p", namespace))
    kube.await_condition("Pod", "p", "Ready", namespace)
    pod = kube.get("Pod", "p", namespace)
    async with a_kind(kube) as writer:
        operation = an_operation(verb, pod)
        assert await writer.write(operation, version=version(pod), dry_run=dry_run) is None
    if dry_run:
        assert "deletionTimestamp" not in live(kube, pod)["metadata"]
    else:
        kube.until(lambda: not kube.exists("Pod", "p", namespace), "the pod gone")


@pytest.mark.parametrize("verb", [Verb.PATCH, Verb.SCALE, Verb.APPLY, Verb.DELETE])
@pytest.mark.parametrize("stale", ["uid", "resourceVersion"])
async def test_another_object_or_another_version_is_never_touched(
    kube: Kube, verb: Verb, stale: str
) -> None:
    web = a_web(kube, approved(kube))
    patch: Manifest = {"spec": {"replicas": 2}}
    if verb is Verb.APPLY:
        patch = {"apiVersion": "apps/v1", "kind": "Deployment", **patch}
    operation = an_operation(verb, web, **patch)
    at = version(web)
    if stale == "uid":
        target = a_target(web, uid=OTHER_UID)
        operation = operation.model_copy(update={"target": target})
    else:
        kube.label("Deployment", "web", web["metadata"]["namespace"], touched="yes")
    async with a_kind(kube) as writer:
        error = await failure(writer, operation, at)
    assert error.reason == "conflict"
    assert live(kube, web)["spec"]["replicas"] == 1


@pytest.mark.parametrize("stale", ["uid", "resourceVersion"])
async def test_another_pod_is_never_evicted(kube: Kube, stale: str) -> None:
    namespace = approved(kube)
    kube.create(a_pod("p", namespace))
    kube.await_condition("Pod", "p", "Ready", namespace)
    pod = kube.get("Pod", "p", namespace)
    changed = {"uid": OTHER_UID} if stale == "uid" else {}
    operation = Operation(verb=Verb.EVICT, target=a_target(pod, **changed))
    if stale == "resourceVersion":
        kube.label("Pod", "p", namespace, touched="yes")
    async with a_kind(kube) as writer:
        assert (await failure(writer, operation, version(pod))).reason == "conflict"
    assert "deletionTimestamp" not in live(kube, pod)["metadata"]


async def test_an_answer_that_is_lost_leaves_it_unknown_and_nothing_is_sent_again(
    kube: Kube, tmp_path: Path
) -> None:
    config = a_config(kube, a="1")
    operation = an_operation(Verb.PATCH, config, data={"a": "2"})
    namespace = operation.target.namespace
    async with (
        a_proxy(kube.site.api_port) as proxy,
        a_writer(through(proxy.port, kube, tmp_path), act_as=ANY_KIND) as writer,
    ):
        assert (await writer.get("configmaps", namespace, "c"))["data"] == {"a": "1"}
        proxy.swallow()
        error = await failure(writer, operation, version(config))
    assert error.reason == "unreachable"
    assert live(kube, config)["data"] == {"a": "2"}
    assert sent(kube, namespace) == 1
