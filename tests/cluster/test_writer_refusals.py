"""Each way in which a real cluster says no to a write, and what is said of it."""

import pytest

from engine.model.change import Operation, Verb
from tests.cluster.readers import as_persona
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
    version,
)
from tests.testbeds.audit import ACCOUNTS
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import Manifest, an_object

pytestmark = pytest.mark.real


@pytest.mark.parametrize("verb", list(Verb))
async def test_a_write_that_would_hit_any_object_is_not_sent(kube: Kube, verb: Verb) -> None:
    config = a_config(kube)
    anyone = Operation(verb=verb, target=a_target(config, uid=""), patch={"data": {"a": "1"}})
    async with a_kind(kube) as writer:
        assert (await failure(writer, anyone, version(config))).reason == "invalid"
        meant = an_operation(verb, config, data={"a": "1"})
        assert (await failure(writer, meant, "")).reason == "invalid"
    assert live(kube, config) == config


async def test_a_digest_is_never_written_back(kube: Kube) -> None:
    namespace = approved(kube)
    kube.create(an_object("Secret", "s", namespace, data={"a": "aHVudGVyMg=="}))
    async with a_kind(kube) as writer:
        secret = await writer.get("secrets", namespace, "s")
        operation = an_operation(Verb.PATCH, secret, data=secret["data"])
        assert (await failure(writer, operation, version(secret))).reason == "invalid"
    assert kube.get("Secret", "s", namespace)["data"] == {"a": "aHVudGVyMg=="}


async def test_a_field_of_another_manager_is_not_taken(kube: Kube) -> None:
    config = a_config(kube, a="1")
    operation = an_operation(
        Verb.APPLY, config, apiVersion="v1", kind="ConfigMap", data={"a": "mine"}
    )
    async with a_kind(kube) as writer:
        error = await failure(writer, operation, version(config))
    assert error.reason == "conflict"
    assert 'conflict with "python-httpx" using v1: .data.a' in str(error)
    assert live(kube, config)["data"] == {"a": "1"}


async def test_a_disruption_budget_blocks_with_the_servers_sentence(kube: Kube) -> None:
    web = a_web(kube, approved(kube))
    namespace = web["metadata"]["namespace"]
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    kube.create(an_object("PodDisruptionBudget", "web", namespace, spec=budget))
    kube.until(
        lambda: kube.get("PodDisruptionBudget", "web", namespace)["status"].get("currentHealthy"),
        "the budget is known",
    )
    (pod,) = kube.list("Pod", namespace)
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    async with a_kind(kube) as writer:
        error = await failure(writer, an_operation(Verb.EVICT, pod), version(pod))
    assert error.reason == "blocked"
    assert "it would violate the pod's disruption budget" in str(error)
    assert "deletionTimestamp" not in live(kube, pod)["metadata"]


async def test_a_quota_refuses(kube: Kube) -> None:
    config = a_config(kube)
    namespace = config["metadata"]["namespace"]
    kube.create(
        an_object("ResourceQuota", "q", namespace, spec={"hard": {"count/configmaps": "0"}})
    )
    kube.until(
        lambda: kube.get("ResourceQuota", "q", namespace).get("status", {}).get("used"), "a quota"
    )
    wanted = an_object("ConfigMap", "new", namespace)
    async with a_kind(kube) as writer:
        error = await failure(writer, an_operation(Verb.APPLY, wanted, **wanted), "")
    assert error.reason == "refused"
    assert "exceeded quota" in str(error)


@pytest.mark.parametrize(
    ("patch", "reason", "words"),
    [
        ({"spec": {"replicas": -1}}, "invalid", "must be greater than or equal to 0"),
        ({"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "invalid", "immutable"),
        ({"spec": {"replicsa": 1}}, "invalid", "unknown field"),
    ],
)
async def test_what_the_server_finds_wrong_is_told_in_its_words(
    kube: Kube, patch: Manifest, reason: str, words: str
) -> None:
    web = a_web(kube, approved(kube))
    async with a_kind(kube) as writer:
        error = await failure(writer, an_operation(Verb.PATCH, web, **patch), version(web))
    assert error.reason == reason
    assert words in str(error)


async def test_a_refusal_never_quotes_a_whole_object(kube: Kube) -> None:
    namespace = approved(kube)
    (secret,) = kube.create(an_object("Secret", "s", namespace, data={"a": "aHVudGVyMg=="}))
    async with a_kind(kube) as writer:
        error = await failure(writer, an_operation(Verb.PATCH, secret, dat={}), version(secret))
    assert 'Invalid value: "{...}": strict decoding error: unknown field "dat"' in str(error)


async def test_what_is_gone_is_not_found(kube: Kube) -> None:
    config = a_config(kube)
    kube.delete("ConfigMap", "c", config["metadata"]["namespace"])
    async with a_kind(kube) as writer:
        for verb in (Verb.PATCH, Verb.DELETE):
            error = await failure(writer, an_operation(verb, config, data={}), version(config))
            assert error.reason == "not-found"


async def test_a_right_that_is_missing_is_known_before_and_told_by_the_server(kube: Kube) -> None:
    web = a_web(kube, approved(kube))
    operation = an_operation(Verb.PATCH, web, spec={"replicas": 2})
    async with a_writer(as_persona(kube), act_as=f"{ACCOUNTS}no-rights") as writer:
        assert not await writer.allowed(operation)
        error = await failure(writer, operation, version(web))
    assert error.reason == "forbidden"
    assert f'User "{ACCOUNTS}no-rights" cannot patch resource "deployments"' in str(error)
    async with a_kind(kube) as writer:
        assert await writer.allowed(operation)
