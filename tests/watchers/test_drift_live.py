"""Drift of a real cluster from real repositories, and as real Argo CD objects tell of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.desired.manifests import read_manifests
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, Signal
from tests.cluster.readers import a_reader, as_persona
from tests.desired.repositories import Origin
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import an_object, path
from watchers.desired import DriftConfig
from watchers.drift import watch_drift
from watchers.registry import Scene

pytestmark = pytest.mark.real
APP: dict[str, Any] = {"name": "shop", "revision": "main"}
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.test/web:1
        resources: {limits: {cpu: 1000m, memory: 1Gi}}
        ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
KUSTOMIZATION = "resources: [web.yaml]\nconfigMapGenerator:\n- {name: web, literals: [a=b]}\n"


class Watched:
    """What was told so far; `until` drives the watcher on."""

    def __init__(self, stream: AsyncGenerator[list[Signal]]) -> None:
        self._stream = stream
        self.told: list[Signal] = []
        self.now: dict[tuple[str, str], Any] = {}

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not true():
                for signal in await anext(self._stream):
                    self._take(signal)

    def _take(self, signal: Signal) -> None:
        self.told.append(signal)
        data = signal.data
        if signal.type == "watcher":
            self.now["fault", data["resource"]] = data["message"]
        elif signal.type == "drift" and data.get("change") != "deleted":
            self.now[data["kind"], data["name"]] = data.get("difference", "same"), data.get("paths")
        elif signal.type == "drift":
            self.now["deleted", data["name"]] = data["uid"]

    def state(self, kind: str, name: str = "web") -> Any:
        return self.now.get((kind, name))


@contextlib.asynccontextmanager
async def watched(kube: Kube, folder: Path, persona: str = "", **options: Any) -> Any:
    config = DriftConfig.model_validate({"every_s": 0.2, **options})
    async with a_reader(as_persona(kube, persona)) as reader:
        scene = Scene(reader, "uid", SystemClock(), folder=folder)
        async with contextlib.aclosing(watch_drift(config, scene)) as stream:
            yield Watched(stream)


def apply(kube: Kube, text: str, namespace: str, manager: str = "kubectl") -> None:
    for obj in read_manifests(text.encode(), is_json=False).objects:
        obj["metadata"]["namespace"] = namespace
        kube.request(
            "PATCH",
            path(obj["kind"], obj["metadata"]["name"], namespace),
            params={"fieldManager": manager, "force": "true"},
            content=json.dumps(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


async def test_drift_of_a_real_cluster_comes_and_goes_with_what_is_done(
    kube: Kube, origin: Origin, tmp_path: Path
) -> None:
    namespace = kube.namespace()
    origin.put({"apps/web.yaml": WEB})
    apply(kube, WEB, namespace)
    app = {**APP, "repository": f"file://{origin.folder}", "path": "apps", "namespace": namespace}
    async with watched(kube, tmp_path, "reader", apps=[app], sync_s=0) as seen:
        await seen.until(lambda: seen.state("Deployment") and seen.state("Service"))
        assert seen.state("Deployment") == seen.state("Service") == ("same", None)

        apply(kube, WEB.replace("web:1", "evil:2"), namespace, "somebody")
        image = "spec.template.spec.containers[web].image"
        await seen.until(lambda: seen.state("Deployment") == ("modified", [image]))
        assert seen.state("Service") == ("same", None)

        apply(kube, WEB, namespace, "somebody")
        await seen.until(lambda: seen.state("Deployment") == ("same", None))

        kube.delete("Service", "web", namespace)
        await seen.until(lambda: seen.state("Service") == ("missing", []))

        origin.put({"apps/web.yaml": WEB.partition("---")[0].replace("replicas: 1", "replicas: 2")})
        await seen.until(lambda: seen.state("Deployment") == ("modified", ["spec.replicas"]))
        await seen.until(lambda: seen.state("deleted") == "")

        origin.put({"apps/broken.yaml": "a: [\n"})
        await seen.until(
            lambda: "broken.yaml: not YAML at" in (seen.state("fault", "git/shop") or "")
        )
        apply(kube, WEB.partition("---")[0].replace("replicas: 1", "replicas: 2"), namespace)
        await seen.until(lambda: seen.state("Deployment") == ("same", None))

        origin.put({"apps/broken.yaml": None})
        await seen.until(lambda: not seen.state("fault", "git/shop"))
        away = origin.folder.rename(tmp_path / "away")
        await seen.until(lambda: (seen.state("fault", "git/shop") or "").startswith("refused: "))
        away.rename(origin.folder)
        await seen.until(lambda: not seen.state("fault", "git/shop"))
        assert seen.state("Deployment") == ("same", None)


async def test_what_kustomize_makes_is_compared_with_a_real_cluster(
    kube: Kube, origin: Origin, tmp_path: Path, kustomize: Path
) -> None:
    namespace = kube.namespace()
    origin.put({"web.yaml": WEB, "kustomization.yaml": f"{KUSTOMIZATION}namespace: {namespace}\n"})
    apply(kube, WEB, namespace)
    app = {**APP, "repository": f"file://{origin.folder}"}
    options = {"apps": [app], "kustomize_path": str(kustomize)}
    async with watched(kube, tmp_path, "reader", **options) as seen:
        await seen.until(lambda: seen.state("Deployment"))
        assert seen.state("Deployment") == ("same", None)
        (made,) = [name for kind, name in seen.now if kind == "ConfigMap"]
        assert made.startswith("web-")
        assert seen.state("ConfigMap", made) == ("missing", [])


async def test_a_field_that_is_no_longer_desired_is_told_and_secrets_are_compared_unseen(
    kube: Kube, origin: Origin, tmp_path: Path
) -> None:
    namespace = kube.namespace()
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: canary-one}\n"
    apply(kube, f"{WEB}---\n{secret}", namespace)
    less = WEB.replace("        ports: [{containerPort: 80}]\n", "")
    origin.put({"web.yaml": less, "s.yaml": secret})
    app = {**APP, "repository": f"file://{origin.folder}", "namespace": namespace}
    async with watched(kube, tmp_path, apps=[app]) as seen:
        await seen.until(lambda: seen.state("Secret", "s"))
        ports = "spec.template.spec.containers[web].ports"
        assert seen.state("Deployment") == ("modified", [ports])
        assert seen.state("Secret", "s") == ("same", None)
        apply(kube, secret.replace("canary-one", "canary-two"), namespace)
        await seen.until(lambda: seen.state("Secret", "s") == ("modified", ["data.a"]))
    assert "canary" not in str(seen.told)
    assert "Y2FuYXJ5" not in str(seen.told)


async def test_a_reader_without_a_right_to_secrets_compares_the_rest(
    kube: Kube, origin: Origin, tmp_path: Path
) -> None:
    namespace = kube.namespace()
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"
    apply(kube, WEB, namespace)
    origin.put({"web.yaml": WEB, "s.yaml": secret})
    app = {**APP, "repository": f"file://{origin.folder}", "namespace": namespace}
    async with watched(kube, tmp_path, "reader", apps=[app]) as seen:
        await seen.until(lambda: seen.state("fault", "git/shop"))
        assert seen.state("fault", "git/shop").startswith("forbidden: ")
        assert seen.state("Deployment") == ("same", None)
        assert seen.state("Secret", "s") is None
        assert any(one.type == HEARTBEAT for one in seen.told)


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture
def argo_cd(kube: Kube) -> Iterator[Kube]:
    """The cluster, which knows Applications for the length of a test."""
    schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN, "operation": OPEN}}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    spec = {
        "group": "argoproj.io",
        "names": {"kind": "Application", "plural": "applications"},
        "scope": "Namespaced",
        "versions": [version],
    }
    name = "applications.argoproj.io"
    kube.create(an_object("CustomResourceDefinition", name, spec=spec))
    kube.until(lambda: kube.api().get("/apis/argoproj.io/v1alpha1/applications").is_success, name)
    yield kube
    kube.delete("CustomResourceDefinition", name)


async def test_applications_of_a_real_cluster_are_read(argo_cd: Kube, tmp_path: Path) -> None:
    namespace = argo_cd.namespace()
    resource = {
        "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web",
        "status": "OutOfSync", "health": {"status": "Healthy"},
    }  # fmt: skip
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"destination": {"name": "in-cluster"}},
        "status": {"sync": {"status": "OutOfSync", "revision": "abc"}, "resources": [resource]},
    }
    where = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications"
    argo_cd.request("POST", where, json=application)
    async with watched(argo_cd, tmp_path) as seen:
        await seen.until(lambda: seen.state("Deployment"))
        assert seen.state("Deployment") == ("modified", [])
        assert {one.type for one in seen.told} == {"drift", HEARTBEAT}
    async with watched(argo_cd, tmp_path, "reader") as seen:
        await seen.until(lambda: seen.state("fault", "applications.argoproj.io"))
        assert seen.state("fault", "applications.argoproj.io").startswith("forbidden: ")
