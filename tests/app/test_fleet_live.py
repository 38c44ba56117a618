"""The fleet before a real API server: a cluster out of a Secret, with credentials in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from engine.app.config import AppConfig
from engine.app.fleet import Fleet
from engine.model.errors import ClusterError
from engine.model.ports import SystemClock
from tests.testbeds.manifests import an_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
LABELS = {"argocd.argoproj.io/secret-type": "cluster", "env": "prod"}


def of_argo(namespace: str, kube: Kube, token: str) -> dict[str, Any]:
    ca = base64.b64encode(kube.ca.read_bytes()).decode()
    config = {"bearerToken": token, "tlsClientConfig": {"caData": ca}}
    texts = {"name": "Prod EU", "server": kube.url, "config": json.dumps(config)}
    metadata = {"labels": LABELS}
    return an_object("Secret", "eu", namespace, metadata=metadata, stringData=texts)


@pytest.fixture
async def fleet(kube: Kube) -> AsyncIterator[tuple[Fleet, str]]:
    namespace = kube.namespace("argo")
    found = {"type": "argocd", "cluster": "hub", "namespace": namespace, "every_s": 0.1}
    settings = AppConfig.model_validate(
        {
            "clusters": [{"name": "hub", "kubeconfig": str(kube.kubeconfig), "context": kube.name}],
            "discover": [{**found, "groups": ["found"]}],
        }
    )
    async with AsyncExitStack() as stack:
        fleet = Fleet(settings, SystemClock())
        await fleet.open(stack)
        running = asyncio.create_task(fleet.run())
        yield fleet, namespace
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(fleet: Fleet, *names: str) -> None:
    async with asyncio.timeout(30):
        while set(fleet) != set(names):
            await fleet.look_again()


async def test_a_secret_of_argo_cd_makes_a_cluster_that_is_read_until_the_secret_goes(
    kube: Kube, fleet: tuple[Fleet, str]
) -> None:
    clusters, namespace = fleet
    kube.create(of_argo(namespace, kube, kube.tokens["reader"]))
    await until(clusters, "hub", "prod-eu")
    assert await clusters["prod-eu"].identity() == await clusters["hub"].identity()
    place = clusters.places["prod-eu"]
    assert (place.labels["env"], place.groups) == ("prod", ("found",))
    assert "argocd.argoproj.io/secret-type" not in place.labels
    with pytest.raises(ClusterError, match="forbidden"):
        await clusters["prod-eu"].list("secrets")
    kube.delete("Secret", "eu", namespace)
    await until(clusters, "hub")


async def test_a_login_that_its_server_refuses_is_unauthorized(
    kube: Kube, fleet: tuple[Fleet, str]
) -> None:
    clusters, namespace = fleet
    kube.create(of_argo(namespace, kube, "expired"))
    await until(clusters, "hub", "prod-eu")
    with pytest.raises(ClusterError) as caught:
        await clusters["prod-eu"].identity()
    assert caught.value.reason == "unauthorized"
    assert "expired" not in str(caught.value)
