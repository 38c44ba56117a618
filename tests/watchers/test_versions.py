"""Versions: what is installed, how far apart it is, and which APIs are going."""

import asyncio
import base64
import contextlib
import gzip
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.errors import ClusterError
from engine.model.ports import Memory
from engine.model.schema import data_shape
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Change, ChangeType
from tests.watchers.shipped import fired
from tests.watchers.sources import NOON, Script, an_object
from tests.watchers.virtual import VirtualClock, at_once
from watchers.helm_releases import see_release
from watchers.memory import Forgetful
from watchers.registry import Scene
from watchers.version_facts import minor, of_apis, see_chart, see_kubelet
from watchers.versions import WORKLOADS, VersionsConfig, watch_versions

SECRETS = "secrets"
OPERATORS = "clusterserviceversions.operators.coreos.com"
SUBSCRIPTIONS = "subscriptions.operators.coreos.com"
RULES = ("deprecated-api-used", "version-skew")


class Server(Script):
    """A cluster whose server has a version, or several, one after the other."""

    versions: Sequence[str | ClusterError] = ("v1.31.4",)
    pages: Sequence[str | ClusterError] = ("",)

    async def version(self) -> str:
        return _next(self, "versions")

    async def text(self, path: str, params: Mapping[str, str] | None = None) -> str:
        self.asked.append(path)
        return _next(self, "pages")


def _next(server: Server, name: str) -> str:
    first, *rest = getattr(server, name)
    setattr(server, name, rest or [first])
    if isinstance(first, ClusterError):
        raise first
    return str(first)


def told(
    *objects: dict[str, Any],
    versions: Sequence[str | ClusterError] = ("v1.31.4",),
    pages: Sequence[str | ClusterError] = ("",),
    lists: Mapping[str, Any] | None = None,
    seconds: float = 1,
    whole: bool = True,
    memory: Memory | None = None,
    **config: Any,
) -> list[Signal]:
    kept = memory or Forgetful()
    server = Server(lists=lists)
    server.versions, server.pages = versions, pages

    async def main() -> list[Signal]:
        scene = Scene(server, "uid", VirtualClock(), memory=lambda _: kept)
        scene.kept.of("nodes", see_kubelet)
        for name in WORKLOADS:
            scene.kept.of(name, see_chart)
        for obj in objects:
            resource = "nodes" if obj["kind"] == "Node" else f"{obj['kind'].lower()}s.apps"
            scene.kept.take(resource, Change(ChangeType.SYNCED, obj))
        for name in ("nodes", *WORKLOADS) if whole else ():
            scene.kept.settle(name, whole=True)
        signals: list[Signal] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for batch in watch_versions(VersionsConfig(**config), scene):
                    signals += batch
        return signals

    return at_once(main())


def of(signals: list[Signal], kind: str) -> list[dict[str, Any]]:
    return [s.data for s in signals if s.type == "version" and s.data["kind"] == kind]


def states(signals: list[Signal]) -> list[tuple[str | None, str, str]]:
    return [(s.subject, s.data["state"], s.data["reason"]) for s in signals if s.type == "watcher"]


def a_node(name: str, version: str) -> dict[str, Any]:
    status = {"nodeInfo": {"kubeletVersion": version}}
    return an_object("Node", name, metadata={"namespace": ""}, status=status)


# server and kubelets


def test_the_server_and_each_kubelet_are_told_with_their_minor_versions() -> None:
    signals = told(a_node("n1", "v1.30.5-gke.100"), a_node("n2", "v1.31.4+k3s1"))
    assert of(signals, "server") == [
        {"kind": "server", "name": "kube-apiserver", "version": "v1.31.4", "serverMinor": 31}
    ]
    assert of(signals, "kubelet")[0] == {
        "kind": "kubelet",
        "name": "n1",
        "node": "n1",
        "version": "v1.30.5-gke.100",
        "minor": 30,
        "serverMinor": 31,
    }
    assert of(signals, "kubelet")[1]["minor"] == 31


@pytest.mark.parametrize("version", ["", "fake", "kwok-v0.7.0", "v2.3.1", "1", "v1.x", "v1.99999"])
def test_a_version_of_another_form_has_no_minor(version: str) -> None:
    assert minor(version) is None
    assert "minor" not in of(told(a_node("n1", version)), "kubelet")[0]


def test_a_kubelet_outside_the_supported_skew_fires_the_shipped_rule() -> None:
    assert fired(told(a_node("n1", "v1.27.9")), *RULES) == ["version-skew"]
    assert fired(told(a_node("n1", "v1.32.0")), *RULES) == ["version-skew"]
    assert fired(told(a_node("n1", "v1.28.9"), a_node("n2", "fake")), *RULES) == []


def test_without_the_version_of_the_server_no_skew_is_guessed() -> None:
    away = ClusterError("unavailable", "503")
    signals = told(a_node("n1", "v1.20.0"), versions=[away])
    assert "serverMinor" not in of(signals, "kubelet")[0]
    assert of(signals, "server") == []
    assert fired(signals, *RULES) == []
    assert states(signals) == [("/version", "unread", "unavailable")]


def test_a_server_that_is_away_for_a_while_keeps_its_version() -> None:
    away = ClusterError("unavailable", "503")
    signals = told(a_node("n1", "v1.30.0"), versions=["v1.31.4", away, away], seconds=1200)
    assert len(of(signals, "kubelet")) == 1
    assert len(of(signals, "server")) == 1


def test_an_upgrade_is_told() -> None:
    signals = told(a_node("n1", "v1.30.0"), versions=["v1.31.4", "v1.32.1"], seconds=400)
    assert [data["version"] for data in of(signals, "server")] == ["v1.31.4", "v1.32.1"]
    assert [data["serverMinor"] for data in of(signals, "kubelet")] == [31, 32]


def test_kubelets_of_nodes_that_were_not_listed_are_not_taken_for_gone() -> None:
    memory = Forgetful()
    told(a_node("n1", "v1.30.0"), memory=memory)
    signals = told(whole=False, memory=memory, seconds=2000)
    assert of(signals, "kubelet") == []
    assert ("nodes", "unread", "not-found") in states(signals)
    assert of(told(memory=memory), "kubelet")[0]["change"] == "deleted"


# deprecated APIs

HEAD = """# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs
# TYPE apiserver_requested_deprecated_apis gauge
"""


def asked(
    resource: str, removed: str, *, group: str = "policy", version: str = "v1beta1", n: object = 1
) -> str:
    return (
        f'apiserver_requested_deprecated_apis{{group="{group}",removed_release="{removed}",'
        f'resource="{resource}",subresource="",version="{version}"}} {n}\n'
    )


def counted(resource: str, verb: str, n: object, version: str = "v1beta1") -> str:
    return (
        f'apiserver_request_total{{code="200",component="apiserver",dry_run="",group="policy",'
        f'resource="{resource}",scope="cluster",subresource="",verb="{verb}",version="{version}"}} '
        f"{n}\n"
    )


def test_an_api_that_goes_is_told_with_its_requests_of_all_verbs() -> None:
    page = HEAD + asked("budgets", "1.32")
    page += counted("budgets", "LIST", 3) + counted("budgets", "GET", 4)
    page += counted("budgets", "GET", 99, "v1") + counted("others", "GET", 99)
    assert of(told(pages=[page]), "api") == [
        {
            "kind": "api",
            "name": "policy/v1beta1/budgets",
            "version": "v1beta1",
            "removedMinor": 32,
            "requests": 7,
            "serverMinor": 31,
        }
    ]


def test_an_api_without_a_release_that_removes_it_has_none() -> None:
    page = asked("endpoints", "", group="", version="v1")
    (api,) = of(told(pages=[page]), "api")
    assert api["name"] == "v1/endpoints"
    assert not {"removedMinor", "requests"} & set(api)


def test_use_of_an_api_that_the_next_version_removes_fires_the_shipped_rule() -> None:
    assert fired(told(pages=[asked("budgets", "1.32")]), *RULES) == ["deprecated-api-used"]
    later = asked("budgets", "1.33") + asked("endpoints", "", group="", version="v1")
    assert fired(told(pages=[later]), *RULES) == []
    assert fired(told(pages=[asked("budgets", "1.32", n=0)]), *RULES) == []


def test_a_second_server_that_was_not_asked_ends_nothing_at_once() -> None:
    used = asked("budgets", "1.32")
    signals = told(pages=[used, "", used, ""], api_used_for_s=900, seconds=2400)
    ends = [s.time - NOON for s in signals if s.data.get("change") == "deleted"]
    assert len(ends) == 1
    assert ends[0].total_seconds() > 300 + 900


def test_an_api_that_the_server_no_longer_serves_is_over_at_once() -> None:
    signals = told(
        pages=[asked("budgets", "1.32"), ""], versions=["v1.31.4", "v1.32.0"], seconds=700
    )
    assert [data.get("change") for data in of(signals, "api")] == [None, "deleted"]


def test_metrics_of_the_server_that_may_not_be_read_are_told_and_the_rest_goes_on() -> None:
    signals = told(a_node("n1", "v1.31.0"), pages=[ClusterError("forbidden", "no")], seconds=900)
    assert states(signals) == [("/metrics", "unread", "forbidden")]
    assert len(of(signals, "kubelet")) == 1
    beats = [s.time for s in signals if s.type == HEARTBEAT]
    assert max((b - a).total_seconds() for a, b in itertools.pairwise(beats)) <= 10


@given(st.text(max_size=80), st.text(max_size=8))
def test_no_page_breaks_it(text: str, value: str) -> None:
    page = asked("budgets", "1.32") + text + "\n" + asked(value, value, n=value)
    found = {api["name"] for api in of_apis(page.replace("\r", ""), NOON)}
    assert found <= {"policy/v1beta1/budgets", f"policy/v1beta1/{value}"} | found


def test_a_page_that_is_cut_off_loses_its_last_line_alone() -> None:
    page = asked("budgets", "1.32") + asked("others", "1.32")[:-20]
    assert [api["name"] for api in of_apis(page, NOON)] == ["policy/v1beta1/budgets"]


# charts


def a_workload(chart: str, release: str = "shop", **labels: str) -> dict[str, Any]:
    given_labels = {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": chart, **labels}
    annotations = {"meta.helm.sh/release-name": release} if release else {}
    metadata = {"labels": given_labels, "annotations": annotations}
    return an_object("Deployment", f"{release}-{chart}", metadata=metadata)


def test_a_chart_is_told_by_the_labels_of_its_workloads_once() -> None:
    version = {"app.kubernetes.io/version": "1.27.1"}
    signals = told(
        a_workload("nginx-ingress-4.10.1_build.7", **version),
        a_workload("nginx-ingress-4.10.1_build.7", "shop", **version),
        a_workload("odd", "shop"),
        an_object("Deployment", "plain", metadata={"labels": {"helm.sh/chart": "x-1.0.0"}}),
    )
    assert of(signals, "chart") == [
        {
            "kind": "chart",
            "namespace": "shop",
            "name": "nginx-ingress",
            "version": "4.10.1+build.7",
            "release": "shop",
            "appVersion": "1.27.1",
            "serverMinor": 31,
        }
    ]


CANARY = "s3cret-canary"


def packed(release: Any, *, gzipped: bool = True) -> str:
    body = release if isinstance(release, bytes) else json.dumps(release).encode()
    inner = base64.b64encode(gzip.compress(body) if gzipped else body)
    return base64.b64encode(inner).decode()


def a_release(name: str = "shop", version: str = "2.0.0", **chart: Any) -> dict[str, Any]:
    metadata = {"name": "web", "version": version, "appVersion": "7.1", **chart}
    return {
        "name": name,
        "info": {"status": "deployed", "notes": CANARY},
        "chart": {"metadata": metadata, "values": {"password": CANARY}, "templates": []},
        "config": {"password": CANARY},
        "manifest": f"password: {CANARY}",
        "version": 3,
    }


def a_secret(release: str) -> dict[str, Any]:
    return an_object(
        "Secret", "sh.helm.release.v1.shop.v3", type="helm.sh/release.v1", data={"release": release}
    )


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_release_says_its_chart_and_nothing_of_its_values(gzipped: bool) -> None:
    lists = {SECRETS: [a_secret(packed(a_release(), gzipped=gzipped))]}
    signals = told(a_workload("web-1.9.0"), lists=lists, secrets=True)
    assert of(signals, "chart") == [
        {
            "kind": "chart",
            "namespace": "shop",
            "name": "web",
            "version": "2.0.0",
            "release": "shop",
            "appVersion": "7.1",
            "serverMinor": 31,
        }
    ]
    assert CANARY not in str(signals)


def test_secrets_are_read_only_where_that_is_asked_for() -> None:
    lists = {SECRETS: [a_secret(packed(a_release()))]}
    assert of(told(lists=lists), "chart") == []


WHOLE = json.dumps(a_release()).encode()
BOMB = packed(b'{"name": "' + b"x" * (70 << 20) + b'"}')


@pytest.mark.parametrize(
    "data",
    [
        "",
        "%%%",
        base64.b64encode(b"%%%").decode(),
        packed(b"\xff\xfe"),
        packed(b"[1]"),
        packed({"name": "shop"}),
        packed({"name": "shop", "chart": {"metadata": {"name": 3}}}),
        packed(a_release(version="v" * 300)),
        packed(b"[" * 100_000),
        base64.b64encode(base64.b64encode(gzip.compress(WHOLE)[:-8])).decode(),
        BOMB,
    ],
    ids=range(11),
)
def test_a_release_that_cannot_be_read_leaves_what_labels_say(data: str) -> None:
    lists = {SECRETS: [a_secret(data), a_secret(packed(a_release("other")))]}
    signals = told(a_workload("web-1.9.0"), lists=lists, secrets=True)
    found = {data["release"]: data["version"] for data in of(signals, "chart")}
    assert found == {"shop": "1.9.0", "other": "2.0.0"}


@given(st.binary(max_size=200))
def test_no_release_breaks_the_view(data: bytes) -> None:
    secret = a_secret(base64.b64encode(base64.b64encode(data)).decode())
    assert set(see_release(secret)) == {"helm"}


def test_releases_that_cannot_be_read_for_a_while_are_not_gone() -> None:
    lists: dict[str, Any] = {SECRETS: [a_secret(packed(a_release()))]}
    memory = Forgetful()
    told(lists=lists, secrets=True, memory=memory)
    signals = told(
        lists={SECRETS: ClusterError("forbidden", "no")}, secrets=True, memory=memory, seconds=900
    )
    assert of(signals, "chart") == []
    assert states(signals) == [("secrets", "unread", "forbidden")]


# operators


def a_csv(name: str, version: str = "", **labels: str) -> dict[str, Any]:
    spec = {"version": version} if version else {}
    return an_object("ClusterServiceVersion", name, metadata={"labels": labels}, spec=spec)


def a_subscription(installed: str, current: str, package: str = "quay") -> dict[str, Any]:
    status = {"installedCSV": installed, "currentCSV": current, "state": "UpgradePending"}
    return an_object("Subscription", package, spec={"name": package}, status=status)


def test_an_operator_is_told_with_the_newest_version_of_its_channel() -> None:
    lists = {
        OPERATORS: [a_csv("quay-operator.v3.9.1", "3.9.1"), a_csv("lonely.v0.2.0")],
        SUBSCRIPTIONS: [a_subscription("quay-operator.v3.9.1", "quay-operator.v3.10.0")],
    }
    followed, lonely = of(told(lists=lists), "operator")
    assert (lonely["name"], lonely["version"]) == ("lonely", "0.2.0")
    assert "newest" not in lonely
    assert (followed["name"], followed["namespace"]) == ("quay", "shop")
    assert (followed["version"], followed["newest"]) == ("3.9.1", "3.10.0")


def test_a_cluster_without_operators_or_rights_to_them_is_told_of_accordingly() -> None:
    assert states(told()) == []
    no = ClusterError("forbidden", "no")
    signals = told(lists={OPERATORS: no}, seconds=700)
    assert states(signals) == [(OPERATORS, "unread", "forbidden")]


@pytest.mark.parametrize("odd", [{}, {"status": 3, "spec": []}, {"metadata": {"name": 4}}])
def test_broken_objects_of_operators_break_nothing(odd: dict[str, Any]) -> None:
    lists = {OPERATORS: [odd, a_csv("a.v1.0.0")], SUBSCRIPTIONS: [odd]}
    assert "a" in {data["name"] for data in of(told(lists=lists), "operator")}


# all


def test_what_is_told_is_what_the_schema_declares() -> None:
    lists = {
        SECRETS: [a_secret(packed(a_release()))],
        OPERATORS: [a_csv("quay-operator.v3.9.1", "3.9.1")],
        SUBSCRIPTIONS: [a_subscription("quay-operator.v3.9.1", "quay-operator.v3.10.0")],
    }
    page = asked("budgets", "1.32") + counted("budgets", "GET", 4)
    signals = told(a_node("n1", "v1.31.0"), pages=[page], lists=lists, secrets=True)
    seen = {kind: of(signals, kind) for kind in ("server", "kubelet", "api", "chart", "operator")}
    for kind, found in seen.items():
        assert found, kind
        assert set(found[0]) <= set(data_shape("version", [kind]).fields)


def test_what_does_not_change_is_told_once_an_hour() -> None:
    signals = told(a_node("n1", "v1.31.0"), seconds=4000)
    assert len(of(signals, "kubelet")) == 2
