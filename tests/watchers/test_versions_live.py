"""Versions of a real API server: its own words for deprecated APIs, its nodes and Secrets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.ports import SystemClock
from tests.cluster.readers import a_reader, as_persona
from tests.testbeds.manifests import an_object
from tests.watchers.test_versions import CANARY, a_release, packed
from watchers.cluster import watch
from watchers.objects import ObjectsConfig
from watchers.versions import WORKLOADS, VersionsConfig

if TYPE_CHECKING:
    from engine.model.signal import Signal
    from tests.testbeds.kube import Kube

pytestmark = pytest.mark.real


async def first_look(kube: Kube, persona: str = "", **config: Any) -> list[Signal]:
    """Return what the watcher tells at its first look as `persona`, or the administrator."""
    configs = {
        "objects": ObjectsConfig(resources=("nodes", *WORKLOADS)),
        "versions": VersionsConfig(**config),
    }
    async with a_reader(as_persona(kube, persona)) as reader:
        stream = watch(reader, SystemClock(), configs)
        async with asyncio.timeout(30), contextlib.aclosing(stream) as batches:
            async for batch in batches:
                told = [one for one in batch if one.source.startswith("watchers/versions/")]
                if any(one.type == "version" for one in told):
                    return told
    raise AssertionError("the stream ended")


async def test_a_real_server_tells_its_version_nodes_releases_and_deprecated_apis(
    kube: Kube,
) -> None:
    node, namespace = kube.node("version"), kube.namespace("version")
    kube.patch_status("Node", node, nodeInfo={"kubeletVersion": "v1.28.3"})
    kube.api().get("/api/v1/componentstatuses").raise_for_status()
    secret = an_object(
        "Secret",
        "sh.helm.release.v1.shop.v1",
        namespace,
        metadata={"labels": {"owner": "helm", "status": "deployed", "name": "shop"}},
        type="helm.sh/release.v1",
        data={"release": packed(a_release())},
    )
    kube.create(secret)
    signals = await first_look(kube, secrets=True)
    told = {one.data["name"]: one.data for one in signals if one.type == "version"}
    server = told["kube-apiserver"]
    assert server["version"].startswith(f"v1.{server['serverMinor']}.")
    assert (told[node]["version"], told[node]["minor"]) == ("v1.28.3", 28)
    assert told[node]["serverMinor"] == server["serverMinor"]
    api = told["v1/componentstatuses"]
    assert api["requests"] >= 1
    assert "removedMinor" not in api
    chart = {name: told["web"][name] for name in ("namespace", "release", "version")}
    assert chart == {"namespace": namespace, "release": "shop", "version": "2.0.0"}
    assert CANARY not in str(signals)
    assert [one.data["resource"] for one in signals if one.type == "watcher"] == []


async def test_without_the_right_to_metrics_of_the_server_that_is_told_and_the_rest_is_there(
    kube: Kube,
) -> None:
    signals = await first_look(kube, "reader")
    faults = {one.data["resource"]: one.data["reason"] for one in signals if one.type == "watcher"}
    assert faults == {"/metrics": "forbidden"}
    assert any(one.data.get("kind") == "server" for one in signals)
