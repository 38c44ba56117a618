"""Drift: what is told of objects beside a repository, and of what Argo CD and Flux say."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.desired.manifests import read_mapping
from engine.model.errors import ClusterError
from engine.model.firing import State
from engine.model.schema import data_shape
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Change, ChangeType, Object, Offered
from tests.desired.repositories import Origin
from tests.watchers.shipped import fired, moves
from tests.watchers.sources import NOON, Script
from watchers.desired import AppConfig, DriftConfig, IgnoreConfig
from watchers.drift import SCALERS, watch_drift
from watchers.gitops import inventory
from watchers.memory import Forgetful
from watchers.registry import Scene

ARGO, FLUX, HELM = (
    "applications.argoproj.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io",
)
DEPLOYMENTS = Offered("deployments.v1.apps", namespaced=True)
CONFIG_MAPS = Offered("configmaps.v1.", namespaced=True)
NAMESPACES = Offered("namespaces.v1.", namespaced=False)
SECRETS = Offered("secrets.v1.", namespaced=True)
OFFERS: dict[tuple[str, str], Offered | ClusterError] = {
    ("apps/v1", "Deployment"): DEPLOYMENTS,
    ("v1", "ConfigMap"): CONFIG_MAPS,
    ("v1", "Namespace"): NAMESPACES,
    ("v1", "Secret"): SECRETS,
}
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  template: {spec: {containers: [{name: web, image: 'web:1'}]}}
"""


class Ticking:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> Any:
        return self.at


class Bed:
    """A watcher of drift over a repository and a cluster; each `look` is one look."""

    def __init__(self, folder: Path) -> None:
        self.origin = Origin(folder / "origin")
        self.folder = folder / "kept"
        self.cluster = Script(
            lists={"deployments.v1.apps": [], "configmaps.v1.": [], "secrets.v1.": []},
            offers=OFFERS,
        )
        self.clock = Ticking()
        self.kept: dict[str, Forgetful] = {}
        self.options: dict[str, Any] = {}
        self.app: dict[str, Any] = {}
        self.more: list[AppConfig] = []

    def config(self) -> DriftConfig:
        given = {
            "name": "shop",
            "repository": f"file://{self.origin.folder}",
            "revision": "main",
            "namespace": "shop",
            **self.app,
        }
        apps = (AppConfig.model_validate(given), *self.more)
        return DriftConfig(apps=apps, **{"every_s": 0.01, **self.options})

    def scene(self) -> Scene:
        return Scene(
            self.cluster,
            "uid",
            self.clock,
            memory=lambda name: self.kept.setdefault(name, Forgetful()),
            folder=self.folder,
        )

    @contextlib.asynccontextmanager
    async def running(self, scene: Scene | None = None) -> Any:
        stream = watch_drift(self.config(), scene or self.scene())

        async def look() -> list[Signal]:
            """Return what the next look tells."""
            before = self.looks()
            told: list[Signal] = []
            while self.looks() == before:
                self.clock.at += timedelta(seconds=6)
                async with asyncio.timeout(20):
                    told += await anext(stream)
            return told

        async with contextlib.aclosing(stream):
            yield look

    def looks(self) -> int:
        return self.cluster.asked.count(HELM)

    def live(self, resource: str, *objects: Object) -> None:
        self.cluster.lists[resource] = list(objects)


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def web(uid: str = "u1", **spec: Any) -> Object:
    container = {"name": "web", "image": spec.pop("image", "web:1"), "imagePullPolicy": "Always"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": uid, "labels": {"app": "web"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}, **spec},
    }


def drifts(told: list[Signal]) -> list[dict[str, Any]]:
    return [one.data for one in told if one.type == "drift"]


def brief(told: list[Signal]) -> list[tuple[Any, ...]]:
    return [
        (
            one["name"],
            one.get("change") or one.get("difference") or one["drifted"],
            one.get("paths", []),
        )
        for one in drifts(told)
    ]


def faults(told: list[Signal]) -> dict[str, str]:
    return {one.data["resource"]: one.data["message"] for one in told if one.type == "watcher"}


async def test_drift_appears_is_corrected_and_an_object_that_is_deleted_is_missing(
    bed: Bed,
) -> None:
    commit = bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web())
    async with bed.running() as look:
        (seen,) = drifts(await look())
        assert seen == {
            "kind": "Deployment", "apiVersion": "apps/v1", "namespace": "shop", "name": "web",
            "uid": "u1", "workload": "web", "labels": {"app": "web"}, "app": "shop",
            "source": "git", "drifted": False, "syncing": False, "revision": commit,
        }  # fmt: skip
        bed.live("deployments.v1.apps", web(image="web:2"))
        (seen,) = drifts(await look())
        assert seen["paths"] == ["spec.template.spec.containers[web].image"]
        assert (seen["drifted"], seen["difference"]) == (True, "modified")
        since = seen["since"]
        bed.live("deployments.v1.apps", web(image="web:2", replicas=3))
        (seen,) = drifts(await look())
        assert seen["since"] == since
        assert seen["paths"][0] == "spec.replicas"
        bed.live("deployments.v1.apps", web())
        (seen,) = drifts(await look())
        assert not seen["drifted"]
        assert "since" not in seen
        bed.live("deployments.v1.apps")
        assert brief(await look()) == [("web", "missing", []), ("web", "deleted", [])]
        bed.live("deployments.v1.apps", web("u2"))
        assert brief(await look()) == [("web", False, []), ("web", "deleted", [])]


async def test_an_object_is_compared_again_when_it_or_the_repository_changes(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.options = {"sync_s": 0}
    told: list[Any] = []
    async with bed.running() as look:
        for version, image in (("7", "web:1"), ("8", "web:2"), ("9", "web:1"), ("9", "web:1")):
            live = web(image=image)
            live["metadata"]["resourceVersion"] = version
            bed.live("deployments.v1.apps", live)
            if len(told) == 3:
                bed.origin.put({"web.yaml": WEB.replace("web:1", "web:2")})
            told += [one[1] for one in brief(await look())]
    assert told == [False, "modified", False, "modified"]


async def test_a_change_of_the_repository_is_syncing_for_a_while_and_drift_then(bed: Bed) -> None:
    others = {f"{name}.yaml": WEB.replace("web", name) for name in ("other", "same")}
    bed.origin.put({"web.yaml": WEB, **others})
    bed.live("deployments.v1.apps", web())
    async with bed.running() as look:
        await look()
        commit = bed.origin.put({"web.yaml": WEB.replace("web:1", "web:2"), "other.yaml": None})
        told = await look()
        (seen,) = [one for one in drifts(told) if one["name"] == "web"]
        assert (seen["drifted"], seen["syncing"], seen["revision"]) == (True, True, commit)
        (same,) = [one for one in drifts(told) if one["name"] == "same"]
        assert (same["drifted"], same["syncing"]) == (True, False)  # it was so before
        assert ("other", "deleted", []) in brief(told)
        bed.clock.at += timedelta(seconds=300)
        (seen,) = drifts(await look())
        assert (seen["drifted"], seen["syncing"]) == (True, False)


async def test_what_was_known_stays_while_a_repository_can_not_be_reached(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web(image="evil"))
    async with bed.running() as look:
        assert brief(await look())[0][1] == "modified"
        bed.origin.folder.rename(bed.origin.folder.parent / "away")
        told = await look()
        assert drifts(told) == []
        assert faults(told)["git/shop"].startswith("refused: file://")
    async with bed.running() as look:  # a start changes nothing
        assert drifts(await look()) == []
        (bed.origin.folder.parent / "away").rename(bed.origin.folder)
        bed.live("deployments.v1.apps", web())
        told = await look()
        assert brief(told) == [("web", False, [])]
        assert faults(told)["git/shop"] == ""


async def test_since_is_remembered_over_a_start(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web(image="evil"))
    async with bed.running() as look:
        (before,) = drifts(await look())
    bed.clock.at += timedelta(days=1)
    async with bed.running() as look:
        (after,) = drifts(await look())
    assert after["since"] == before["since"]


async def test_a_broken_file_is_told_with_its_line_and_the_others_are_compared(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB, "other.yaml": WEB.replace("web", "other")})
    bed.live("deployments.v1.apps", web(image="evil"))
    async with bed.running() as look:
        assert {one[1] for one in brief(await look())} == {"modified", "missing"}
        bed.origin.put({"other.yaml": "a: 1\nb: [\n"})
        told = await look()
        assert faults(told)["git/shop"].startswith("malformed: other.yaml: not YAML at 3:1")
        assert [one[0] for one in brief(told)] == ["web"]  # of a new revision; other stays
        bed.live("deployments.v1.apps", web())
        assert brief(await look()) == [("web", False, [])]


async def test_one_application_that_can_not_be_read_hinders_no_other(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web())
    bed.more = [AppConfig(name="bad", repository="file:///nonexistent/r")]
    async with bed.running() as look:
        told = await look()
        assert brief(told) == [("web", False, [])]
        assert {name for name, fault in faults(told).items() if fault} == {"git/bad"}


class Breaking(Script):
    """A cluster that breaks whoever asks for Widgets, in a way that nobody thought of."""

    async def offered(self, api_version: str, kind: str) -> Offered:
        if kind == "Widget":
            raise TypeError("canary")
        return await super().offered(api_version, kind)


async def test_one_application_that_breaks_is_told_without_its_text_and_hinders_no_other(
    bed: Bed, tmp_path: Path
) -> None:
    bed.origin.put({"web.yaml": WEB})
    bad = Origin(tmp_path / "bad")
    bad.put({"a.yaml": "apiVersion: x.test/v1\nkind: Widget\nmetadata: {name: a}\n"})
    bed.more = [AppConfig(name="bad", repository=f"file://{bad.folder}", revision="main")]
    bed.cluster = Breaking(lists={"deployments.v1.apps": [web()]}, offers=OFFERS)
    async with bed.running() as look:
        told = await look()
    assert brief(told) == [("web", False, [])]
    assert {one: why for one, why in faults(told).items() if why} == {
        "git/bad": "broken: TypeError"
    }


async def test_a_value_that_is_none_of_its_tag_is_told_with_its_file(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB, "s.yaml": "apiVersion: v1\nkind: Secret\ndata: !!bool maybe"})
    bed.live("deployments.v1.apps", web())
    async with bed.running() as look:
        told = await look()
    assert brief(told) == [("web", False, [])]
    assert faults(told)["git/shop"] == "malformed: s.yaml: not YAML at 3:7: a value that is no bool"


async def test_a_folder_that_can_not_be_written_is_told(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.folder.mkdir()
    (bed.folder / "drift").write_text("no folder")
    async with bed.running() as look:
        assert faults(await look())["git/shop"].startswith("unavailable: ")


async def test_kinds_that_can_not_be_listed_are_told_and_left_out(bed: Bed) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: Y2FuYXJ5}\n"
    bed.origin.put({"web.yaml": WEB, "s.yaml": secret})
    bed.live("deployments.v1.apps", web())
    bed.cluster.lists["secrets.v1."] = ClusterError("forbidden", "no secrets")
    async with bed.running() as look:
        told = await look()
    assert brief(told) == [("web", False, [])]
    assert faults(told)["git/shop"] == "forbidden: no secrets"
    assert any(one.type == HEARTBEAT for one in told)


async def test_secrets_are_compared_and_their_values_are_nowhere(bed: Bed) -> None:
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
        "data: {a: Y2FuYXJ5, same: Y2FuYXJ5}\nstringData: {b: canary}\n"
    )
    bed.origin.put({"s.yaml": secret})
    data = {"a": "Y2FuYXJ5LXR3bw==", "same": "Y2FuYXJ5", "b": "Y2FuYXJ5"}
    metadata = {"name": "s", "namespace": "shop", "uid": "s1"}
    bed.live(
        "secrets.v1.", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    )
    async with bed.running() as look:
        told = await look()
    assert brief(told) == [("s", "modified", ["data.a"])]
    kept = [await memory.recall() for memory in bed.kept.values()]
    for text in ("canary", "Y2Fu", "sealed"):
        assert text not in f"{told}{kept}"


async def test_a_kind_that_the_server_does_not_know_is_missing(bed: Bed) -> None:
    bed.origin.put({"a.yaml": "apiVersion: x.test/v1\nkind: Widget\nmetadata: {name: a}\n"})
    async with bed.running() as look:
        (seen,) = drifts(await look())
    assert (seen["kind"], seen["difference"], seen["uid"]) == ("Widget", "missing", "")


async def test_objects_without_a_namespace_are_found_where_they_are(bed: Bed) -> None:
    bed.origin.put({"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"})
    bed.live(
        "namespaces.v1.",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "n"}},
    )
    async with bed.running() as look:
        assert brief(await look()) == [("shop", False, [])]


async def test_objects_that_carry_the_label_of_an_application_are_extra(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.app = {"owned": "part-of=shop"}
    old = {**web("u9"), "metadata": {"name": "old", "namespace": "shop", "uid": "u9"}}
    owner = [{"kind": "Rollout", "name": "r", "uid": "r", "controller": True}]
    part = {**old, "metadata": {**old["metadata"], "name": "part", "ownerReferences": owner}}
    bed.live("deployments.v1.apps", web(), old, part)
    async with bed.running() as look:
        assert brief(await look()) == [("web", False, []), ("old", "extra", [])]
        bed.live("deployments.v1.apps", web())
        assert brief(await look()) == [("old", "deleted", [])]


def a_scaler(name: str) -> Object:
    to = {"kind": "Deployment", "name": name}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop", "uid": f"h-{name}"},
        "spec": {"scaleTargetRef": to},
    }


@pytest.mark.parametrize("how", ["kept", "listed", "unknown", "none"])
async def test_replicas_that_an_autoscaler_sets_are_no_drift(bed: Bed, how: str) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web(replicas=9))
    scene = bed.scene()
    if how == "listed":
        bed.live(SCALERS, a_scaler("web"))
    elif how == "none":
        bed.live(SCALERS, a_scaler("other"))
    elif how == "unknown":
        bed.cluster.lists[SCALERS] = ClusterError("forbidden", "no autoscalers")
    async with bed.running(scene) as look:
        if how == "kept":
            stream = look()
            scene.kept.take(SCALERS, Change(ChangeType.SYNCED, a_scaler("web")))
            scene.kept.settle(SCALERS, whole=True)
            await stream
            scene.kept.take(SCALERS, Change(ChangeType.SYNCED, a_scaler("web")))
            bed.live("deployments.v1.apps", web("u2", replicas=9))
        told = brief(await look())
    assert (
        "web",
        "modified" if how == "none" else False,
        ["spec.replicas"] if how == "none" else [],
    ) in told


async def test_rules_of_the_configuration_say_what_may_differ(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.options = {"ignore": (IgnoreConfig(kind="Deployment", paths=("spec.replicas",)),)}
    bed.app = {"ignore": [{"name": "w*", "paths": ["spec.template.spec.containers[*].image"]}]}
    bed.live("deployments.v1.apps", web(replicas=9, image="evil"))
    async with bed.running() as look:
        assert brief(await look()) == [("web", False, [])]


def kept_of(bed: Bed) -> list[str]:
    return [one.parent.parent.name for one in bed.folder.glob("drift/*/*/HEAD")]


async def test_what_is_kept_of_repositories_that_are_no_longer_used_goes_away(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    async with bed.running() as look:
        await look()
    assert kept_of(bed) == ["shop"]
    bed.app = {"name": "renamed"}
    async with bed.running() as look:
        await look()
    assert kept_of(bed) == ["renamed"]


async def test_drift_that_stays_fires_the_shipped_rule_and_one_that_is_mended_does_not(
    bed: Bed,
) -> None:
    bed.origin.put({"web.yaml": WEB})
    bed.live("deployments.v1.apps", web(image="evil"))
    scene = bed.scene()
    async with bed.running(scene) as look:
        told = await look()
        bed.clock.at += timedelta(minutes=14)
        told += await look()
        assert fired(told, "drift-detected") == []
        bed.clock.at += timedelta(minutes=2)
        later = [*told, *await look()]
        assert moves(later, "drift-detected")[-1] == (
            "drift-detected",
            State.FIRING,
            {"cluster": "west", "signal.data.app": "shop"},
        )
    allowed = data_shape("drift").fields
    assert all(set(one) - {"change"} <= set(allowed) for one in drifts(later))


async def test_drift_of_an_object_that_came_anew_as_desired_is_over(bed: Bed) -> None:
    bed.origin.put({"web.yaml": WEB})
    async with bed.running() as look:
        told = await look()
        assert brief(told) == [("web", "missing", [])]
        bed.clock.at += timedelta(minutes=10)
        bed.live("deployments.v1.apps", web())
        told += await look()
        bed.clock.at += timedelta(minutes=30)
        bed.live("deployments.v1.apps", web("u2"))
        told += await look()
    assert fired(told, "drift-detected") == []


@pytest.mark.parametrize(
    "options",
    [
        {"repository": "ext::sh -c true"},
        {"repository": "https://u:p@h/r"},
        {"repository": "https://h/r", "revision": "--upload-pack=x"},
        {"repository": "https://h/r", "name": "../x"},
        {"repository": "https://h/r", "owned": ""},
        {"repository": "https://h/r", "ignore": [{"kind": "Pod"}]},
    ],
)
def test_an_application_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        AppConfig.model_validate({"name": "a", **options})


async def test_without_anything_configured_a_cluster_without_gitops_is_silent() -> None:
    cluster = Script()
    scene = Scene(cluster, "uid", Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(), scene)) as stream:
        told = await anext(stream)
    assert {one.type for one in told} == {HEARTBEAT}
    nothing = DriftConfig(argocd=False, flux=False)
    assert [one async for one in watch_drift(nothing, scene)] == []


def an_application(name: str = "shop", **status: Any) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "uid": f"a-{name}"},
        "spec": {"destination": {"server": "https://kubernetes.default.svc"}},
        "status": {
            "sync": {"status": "OutOfSync", "revision": "abc"},
            "operationState": {"phase": "Succeeded"},
            **status,
        },
    }


RESOURCES = [
    {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web",
     "status": "OutOfSync", "health": {"status": "Healthy"}},
    {"version": "v1", "kind": "Service", "namespace": "shop", "name": "web", "status": "Synced"},
    {"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "gone",
     "status": "OutOfSync", "health": {"status": "Missing"}},
    {"version": "v1", "kind": "Secret", "namespace": "shop", "name": "old", "status": "OutOfSync",
     "requiresPruning": True},
    {"version": "v1", "kind": "Pod", "name": "hook", "status": "OutOfSync", "hook": True},
    {"version": "v1", "kind": "Pod", "name": "unsaid"},
    "rubbish",
]  # fmt: skip


async def argo(*applications: Object) -> list[Signal]:
    scene = Scene(Script(lists={ARGO: list(applications)}), "uid", Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(), scene)) as stream:
        return await anext(stream)


async def test_argo_cd_says_of_each_resource_whether_it_is_in_sync() -> None:
    told = await argo(an_application(resources=RESOURCES))
    assert [(one["kind"], one.get("difference", "")) for one in drifts(told)] == [
        ("Deployment", "modified"), ("ConfigMap", "missing"), ("Secret", "extra"),
    ]  # fmt: skip
    first = drifts(told)[0]
    assert (first["app"], first["source"], first["revision"]) == ("shop", "argocd", "abc")
    assert (first["apiVersion"], first["health"]) == ("apps/v1", "Healthy")
    assert not first["syncing"]
    assert first["since"]


async def test_a_sync_of_argo_cd_that_is_under_way_fires_nothing() -> None:
    told: list[Signal] = []
    running = an_application(resources=RESOURCES, operationState={"phase": "Running"})
    for application, fires in (
        (running, []),
        (an_application(resources=RESOURCES), ["drift-detected"]),
    ):
        scene = Scene(Script(lists={ARGO: [application]}), "uid", clock := Ticking())
        async with contextlib.aclosing(watch_drift(DriftConfig(every_s=0.01), scene)) as stream:
            told = await anext(stream)
            for _ in range(3):
                clock.at += timedelta(minutes=10)
                told += await anext(stream)
        assert fired(told, "drift-detected") == fires


async def test_argo_cd_says_when_a_sync_is_under_way() -> None:
    told = await argo(an_application(resources=RESOURCES, operationState={"phase": "Running"}))
    assert all(one["syncing"] for one in drifts(told))


async def test_a_resource_that_argo_cd_brought_in_sync_is_told_and_then_over() -> None:
    cluster = Script(lists={ARGO: [an_application(resources=RESOURCES[:1])]})
    scene = Scene(cluster, "uid", clock := Ticking())
    told: list[Signal] = []
    async with contextlib.aclosing(watch_drift(DriftConfig(every_s=0.01), scene)) as stream:
        told += await anext(stream)
        cluster.lists[ARGO] = [an_application(resources=[{**RESOURCES[0], "status": "Synced"}])]  # type: ignore[dict-item]
        while cluster.asked.count(ARGO) < 4:
            clock.at += timedelta(seconds=6)
            told += await anext(stream)
    assert brief(told) == [("web", "modified", []), ("web", False, []), ("web", "deleted", [])]


async def test_resources_of_another_cluster_are_told_by_their_application_only() -> None:
    application = an_application(resources=RESOURCES)
    application["spec"] = {"destination": {"server": "https://west.test"}}
    (seen,) = drifts(await argo(application))
    assert (seen["kind"], seen["name"], seen["uid"]) == ("Application", "shop", "a-shop")
    assert seen["paths"] == ["ConfigMap/shop/gone", "Deployment/shop/web", "Secret/shop/old"]


@pytest.mark.parametrize(
    "parts",
    [
        {"status": None}, {"status": {"sync": 3}}, {"spec": [], "metadata": {"name": "x"}},
        {"status": {"sync": {"status": "Synced"}, "resources": {"a": 1}}},
        {"status": {"sync": {"status": "Synced"}, "resources": [{"status": "Synced", "kind": 3}]}},
    ],
)  # fmt: skip
async def test_an_application_of_any_shape_is_read(parts: dict[str, Any]) -> None:
    told = await argo({**an_application(), **parts}, an_application("good", resources=RESOURCES))
    assert len([one for one in drifts(told) if one["app"] == "good"]) == 3


async def test_what_argo_cd_can_not_compare_for_now_is_as_it_was() -> None:
    cluster = Script(lists={ARGO: [an_application(resources=RESOURCES[:1])]})
    scene = Scene(cluster, "uid", clock := Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(every_s=0.01), scene)) as stream:
        assert len(drifts(await anext(stream))) == 1
        cluster.lists[ARGO] = [an_application(sync={"status": "Unknown"}, resources=[])]
        told: list[Signal] = []
        while cluster.asked.count(ARGO) < 3:
            clock.at += timedelta(seconds=6)
            told += await anext(stream)
        assert drifts(told) == []
        cluster.lists[ARGO] = []
        while not drifts(told):
            clock.at += timedelta(seconds=6)
            told += await anext(stream)
        assert brief(told) == [("web", "deleted", [])]


async def looks(bed: Bed, resource: str, *shown: Object) -> list[list[Signal]]:
    """Return what is told of each of `shown`, the watcher started anew for each."""
    told = []
    for obj in shown:
        bed.live(resource, obj)
        bed.clock.at += timedelta(minutes=5)
        scene = bed.scene()
        async with contextlib.aclosing(watch_drift(DriftConfig(every_s=0.01), scene)) as stream:
            first = await anext(stream)
            bed.clock.at += timedelta(seconds=6)
            told.append([*first, *await anext(stream)])  # what was told is remembered by now
    return told


UNKNOWN = an_application(sync={"status": "Unknown"}, resources=[])
VAGUE = an_application(resources=[{**RESOURCES[0], "status": "Unknown"}])  # type: ignore[dict-item]


@pytest.mark.parametrize("vague", [UNKNOWN, VAGUE], ids=["application", "resource"])
async def test_what_argo_cd_can_not_compare_is_as_it_was_over_a_start_too(
    bed: Bed, vague: Object
) -> None:
    drifted = an_application(resources=RESOURCES[:1])
    first, unsure, later, gone = await looks(
        bed, ARGO, drifted, vague, drifted, an_application("other", resources=[])
    )
    assert drifts(unsure) == []
    (before,), (after,) = drifts(first), drifts(later)
    assert before["since"] == after["since"]
    assert brief(gone) == [("web", "deleted", [])]


async def test_what_flux_does_not_say_is_as_it_was_over_a_start_too(bed: Bed) -> None:
    failed = a_kustomization("False", "BuildFailed")
    first, unsure, later, gone = await looks(
        bed, FLUX, failed, a_kustomization("Unknown"), failed,
        a_kustomization("False", "BuildFailed", suspend=True),
    )  # fmt: skip
    assert drifts(unsure) == []
    (before,), (after,) = drifts(first), drifts(later)
    assert before["since"] == after["since"]
    assert brief(gone) == [("infra", "deleted", [])]


def a_kustomization(ready: str, reason: str = "", reconciling: str = "", **spec: Any) -> Object:
    conditions: list[Any] = [
        {"type": "Ready", "status": ready, "reason": reason, "message": f"{reason} of x"}
    ]
    if reconciling:
        conditions.append({"type": "Reconciling", "status": reconciling})
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "infra", "namespace": "flux-system", "uid": "k"},
        "spec": spec,
        "status": {"conditions": conditions, "lastAttemptedRevision": "main@sha1:abc"},
    }


@pytest.mark.parametrize(
    ("obj", "state"),
    [
        (a_kustomization("True", "ReconciliationSucceeded"), (False, False, None)),
        (a_kustomization("False", "BuildFailed"), (True, False, "BuildFailed: BuildFailed of x")),
        (a_kustomization("False", "HealthCheckFailed", "True"),
         (True, True, "HealthCheckFailed: HealthCheckFailed of x")),
        (a_kustomization("Unknown", "Progressing", "True"), (False, True, None)),
        (a_kustomization("Unknown"), None),
        (a_kustomization("False", "BuildFailed", suspend=True), None),
        ({"kind": "Kustomization", "metadata": {"name": "x"}, "status": {"conditions": 3}}, None),
    ],
)  # fmt: skip
async def test_flux_says_what_it_could_not_apply(obj: Object, state: Any) -> None:
    scene = Scene(Script(lists={FLUX: [obj], HELM: []}), "uid", Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(), scene)) as stream:
        told = drifts(await anext(stream))
    if state is None:
        assert told == []
        return
    (seen,) = told
    assert (seen["drifted"], seen["syncing"], seen.get("message")) == state
    assert (seen["app"], seen["source"], seen["revision"]) == ("infra", "flux", "main@sha1:abc")


async def test_objects_of_an_inventory_of_flux_are_there_or_missing() -> None:
    kustomization = a_kustomization("True", "ReconciliationSucceeded")
    ids = (
        "shop_web_apps_Deployment", "shop_gone_apps_Deployment", "_shop__Namespace",
        "shop_s__Secret", "_x_y.test_Unknown", "_system__admin_r_ClusterRole", "rubbish", 3,
    )  # fmt: skip
    kustomization["status"]["inventory"] = {"entries": [{"id": one, "v": "v1"} for one in ids]}
    remote = {**kustomization, "spec": {"kubeConfig": {"secretRef": {"name": "west"}}}}
    assert inventory(remote) == []
    lists: dict[str, list[Object] | ClusterError] = {
        FLUX: [kustomization],
        "deployments.v1.apps": [web()],
        "namespaces.v1.": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "n"}}
        ],
        "secrets.v1.": ClusterError("forbidden", "no secrets"),
        "roles": [],
    }
    offers = {**OFFERS, ("r/v1", "ClusterRole"): Offered("roles", namespaced=False)}
    scene = Scene(Script(lists=lists, offers=offers), "uid", Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(inventory=True), scene)) as stream:
        told = await anext(stream)
    assert brief(told) == [
        ("infra", False, []), ("web", False, []), ("gone", "missing", []), ("shop", False, []),
        ("x", "missing", []), ("system:admin", "missing", []),
    ]  # fmt: skip
    assert {one["app"] for one in drifts(told)} == {"infra"}
    assert faults(told) == {}


async def test_a_right_that_is_missing_is_told_where_gitops_is_there() -> None:
    cluster = Script(lists={ARGO: ClusterError("forbidden", "no applications")})
    scene = Scene(cluster, "uid", Ticking())
    async with contextlib.aclosing(watch_drift(DriftConfig(), scene)) as stream:
        assert faults(await anext(stream)) == {ARGO: "forbidden: no applications"}


def test_the_example_of_the_docs_is_taken_and_each_option_is_told_there() -> None:
    page = (Path(__file__).parents[2] / "docs" / "drift.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (cluster,) = read_mapping(example.encode())["clusters"]
    config = DriftConfig.model_validate(cluster["watchers"]["drift"])
    assert [app.name for app in config.apps] == ["shop", "ingress"]
    assert [name for name in AppConfig.model_fields if f"`{name}`" not in page] == []
