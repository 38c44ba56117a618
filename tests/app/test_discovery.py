"""Sources of clusters: what each shows, and what hostile and broken input does to the others."""

import base64
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.app.config import NAME
from engine.app.discovery.argocd import ArgoClusters
from engine.app.discovery.capi import RESOURCE as CAPI
from engine.app.discovery.capi import CapiClusters
from engine.app.discovery.folder import Folder
from engine.app.discovery.found import Seen, Sighting, choose, name_of
from engine.app.discovery.ocm import RESOURCE as OCM
from engine.app.discovery.ocm import ManagedClusters
from engine.app.discovery.settings import FolderConfig, source
from engine.model.errors import ClusterError
from tests.watchers.sources import NOON, Script, after

SECRETS = "/api/v1/namespaces/argocd/secrets"
FORBIDDEN = ClusterError("forbidden", "secrets is forbidden")


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> Any:
        return self.at


def a_kubeconfig(server: str = "https://eu", **user: Any) -> str:
    return yaml.safe_dump(
        {
            "current-context": "a",
            "contexts": [
                {"name": one, "context": {"cluster": "c", "user": "u"}} for one in ("a", "b")
            ],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "t", **user}}],
        }
    )


def folder(path: Path, **options: Any) -> Folder:
    return Folder(source("kubeconfig-folder", {"folder_path": str(path), **options}))  # type: ignore[arg-type]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogateescape")).decode()


def a_secret(name: str, data: Mapping[str, Any], **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "argocd", "labels": labels},
        "data": {key: encoded(one) if isinstance(one, str) else one for key, one in data.items()},
    }


def of_argo(name: str, config: str = '{"bearerToken": "t"}', **labels: str) -> dict[str, Any]:
    return a_secret(name, {"name": name, "server": f"https://{name}", "config": config}, **labels)


def a_page(*items: Any, more: str = "") -> str:
    return msgspec.json.encode({"metadata": {"continue": more}, "items": items}).decode()


async def argo(answer: str | ClusterError) -> Sighting:
    config = source("argocd", {"cluster": "hub"})
    return await ArgoClusters(config, Script(texts={SECRETS: answer})).look()  # type: ignore[arg-type]


def names(sighting: Sighting) -> list[str]:
    return [one.parts["name"] for one in sighting.seen]


async def test_each_file_of_a_folder_is_a_cluster_by_its_current_context(tmp_path: Path) -> None:
    (tmp_path / "eu.yaml").write_text(a_kubeconfig("https://me:hush@eu:6443"))
    (tmp_path / "us.conf").write_text(a_kubeconfig())
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "eu.yaml~").write_text("x")
    (tmp_path / "folder").mkdir()
    found = await folder(tmp_path).look()
    assert [(one.parts["name"], one.context, one.server) for one in found.seen] == [
        ("eu", "a", "https://eu:6443"),
        ("us", "a", "https://eu"),
    ]
    assert found.faults == {}


async def test_each_context_of_a_file_is_a_cluster_where_all_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "eu.yaml").write_text(a_kubeconfig())
    assert names(await folder(tmp_path, contexts="all").look()) == ["eu-a", "eu-b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clusters: [", "bad.yaml: no login: it is no YAML"),
        ("", "bad.yaml: no login: it is no kubeconfig"),
        ("hello", "bad.yaml: no login: it is no kubeconfig"),
        ("contexts: {a: b}", "bad.yaml: no login: its contexts are no list"),
        ("{contexts: [{name: x}], current-context: y}", "bad.yaml: it has no current-context"),
        ("&a [*a]", "bad.yaml: no login: it is no kubeconfig"),
        ("x" * (1 << 21), "bad.yaml: it is larger than 1 MiB"),
    ],
)
async def test_a_broken_file_is_told_by_its_name_and_the_others_are_found(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    (tmp_path / "eu.yaml").write_text(a_kubeconfig())
    found = await folder(tmp_path).look()
    assert names(found) == ["eu"]
    assert found.faults["bad.yaml"].startswith(said)


async def test_a_file_that_can_not_be_read_hides_only_itself(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "eu.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "us.yaml").write_text(a_kubeconfig())
    found = await folder(tmp_path).look()
    assert (names(found), list(found.faults)) == (["us"], ["eu.yaml"])


async def test_a_folder_that_is_not_there_is_a_fault_of_all_of_it(tmp_path: Path) -> None:
    found = await folder(tmp_path / "away").look()
    assert found.seen == []
    assert found.faults[""].endswith("away: No such file or directory")


async def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "eu.yaml").write_text(a_kubeconfig("https://old"))
    looker = folder(tmp_path)
    assert [one.server for one in (await looker.look()).seen] == ["https://old"]
    (tmp_path / "eu.yaml").write_text(a_kubeconfig("https://newer"))
    assert [one.server for one in (await looker.look()).seen] == ["https://newer"]


async def test_secrets_of_argo_cd_are_clusters_with_their_logins_in_memory() -> None:
    own = a_secret("in-cluster", {"name": "x", "server": "https://kubernetes.default.svc"})
    kind = {"argocd.argoproj.io/secret-type": "cluster"}
    found = await argo(a_page(own, of_argo("eu", env="prod", **kind)))
    (one,) = found.seen
    assert (one.parts["name"], one.place, one.server) == ("eu", "argocd/eu", "https://eu")
    assert one.labels == {"env": "prod"}
    assert one.login is not None
    assert "bearerToken" not in repr(one)
    assert "'t'" not in repr(one)


@pytest.mark.parametrize(
    "secret",
    [
        of_argo("bad", "{hush"),
        of_argo("bad", '["hush"]'),
        of_argo("bad", "[" * 100_000),
        of_argo("bad", '{"bearerToken": "\udcff"}'),
        a_secret("bad", {"server": "https://bad", "config": 7}),
        a_secret("bad", {"name": "bad"}),
        {"metadata": {"namespace": "argocd", "name": "bad"}, "data": {"server": "hush!"}},
        {"metadata": {"namespace": "argocd", "name": "bad"}, "data": ["hush"]},
        {
            "metadata": {"namespace": "argocd", "name": "bad"},
            "data": {"server": encoded("\udcff"[:0])},
        },
        of_argo("bad", '{"execProviderConfig": {"command": ["hush"]}}'),
        of_argo("bad", '{"tlsClientConfig": {"keyData": "hush!"}}'),
    ],
)
async def test_a_secret_of_garbage_is_told_by_its_name_and_never_shown(
    secret: dict[str, Any],
) -> None:
    found = await argo(a_page(secret, of_argo("eu"), "garbage"))
    assert names(found) == ["eu"]
    assert list(found.faults) == ["argocd/bad"]
    assert "hush" not in str(found.faults)


@pytest.mark.parametrize(
    "answer", [FORBIDDEN, "{", "[]", '{"items": 7}', ClusterError("unreachable", "gone")]
)
async def test_secrets_that_can_not_be_listed_are_a_fault_of_all(answer: Any) -> None:
    found = await argo(answer)
    assert (found.seen, list(found.faults)) == ([], [""])


async def test_a_server_that_always_has_one_more_page_is_given_up() -> None:
    found = await argo(a_page(of_argo("eu"), more="again"))
    assert found.faults[""].startswith("malformed: /api/v1/namespaces/argocd/secrets: more than")


def managed(name: str, available: str = "True", accepted: str = "True", **rest: Any) -> Any:
    conditions = [
        {"type": "HubAcceptedManagedCluster", "status": accepted},
        {"type": "ManagedClusterConditionAvailable", "status": available},
    ]
    metadata = {"name": name, "labels": {"region": "eu"}, **rest}
    spec = {"managedClusterClientConfigs": [{"url": f"https://{name}"}]}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": conditions}}


async def ocm(*objects: Any, **options: Any) -> Sighting:
    config = source("ocm", {"cluster": "hub", **options})
    return await ManagedClusters(config, Script(lists={OCM: list(objects)})).look()  # type: ignore[arg-type]


async def test_managed_clusters_are_reached_by_a_context_of_their_name() -> None:
    found = await ocm(managed("eu"), managed("us", available="Unknown"), kubeconfig="/kc")
    told = [(s.parts["name"], s.kubeconfig, s.context, s.server, s.problem) for s in found.seen]
    assert told == [
        ("eu", "/kc", "eu", "https://eu", ""),
        ("us", "/kc", "us", "https://us", "the hub says: available is Unknown"),
    ]


async def test_a_managed_cluster_without_its_file_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "eu.yaml").write_text(a_kubeconfig())
    path = str(tmp_path / "{name}.yaml")
    found = await ocm(managed("eu"), managed("us"), kubeconfig_path=path)
    assert [(s.kubeconfig, s.context, s.ready) for s in found.seen] == [
        (str(tmp_path / "eu.yaml"), None, True),
        (None, None, False),
    ]
    assert found.seen[1].problem == f"there is no file '{tmp_path / 'us.yaml'}'"


async def test_managed_clusters_that_go_or_were_never_accepted_are_not_there() -> None:
    gone = managed("gone", deletionTimestamp="2026-01-01T00:00:00Z")
    strange = [{}, {"metadata": 7}, managed(""), {"metadata": {"name": "x"}, "status": [1]}]
    found = await ocm(gone, managed("foreign", accepted="False"), *strange)
    assert names(found) == ["x"]


def a_cluster(name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "fleet", "uid": f"uid-{name}", **rest}
    return {"metadata": metadata, "status": {"phase": "Provisioned"}}


def its_secret(name: str, kubeconfig: str) -> dict[str, str]:
    secret = {"data": {"value": encoded(kubeconfig)}}
    path = f"/api/v1/namespaces/fleet/secrets/{name}-kubeconfig"
    return {path: msgspec.json.encode(secret).decode()}


def capi(objects: list[Any], texts: Mapping[str, Any]) -> tuple[CapiClusters, Script, Clock]:
    script, clock = Script(lists={CAPI: objects}, texts=texts), Clock()
    config = source("cluster-api", {"cluster": "hub"})
    return CapiClusters(config, script, clock), script, clock  # type: ignore[arg-type]


async def test_clusters_of_cluster_api_have_their_kubeconfig_in_a_secret() -> None:
    looker, *_ = capi([a_cluster("eu"), a_cluster("new")], its_secret("eu", a_kubeconfig()))
    found = await looker.look()
    told = [(s.parts["name"], s.server, s.ready, s.problem) for s in found.seen]
    assert told == [
        ("eu", "https://eu", True, ""),
        ("new", "", False, "it has no kubeconfig yet"),
    ]
    assert found.faults == {}


async def test_a_kubeconfig_is_read_again_after_ten_minutes_and_kept_where_it_can_not() -> None:
    looker, script, clock = capi([a_cluster("eu")], its_secret("eu", a_kubeconfig()))
    await looker.look()
    await looker.look()
    assert sum("secrets" in one for one in script.asked) == 1
    clock.at = after(601)
    script.texts = {}
    assert [one.ready for one in (await looker.look()).seen] == [True]
    assert sum("secrets" in one for one in script.asked) == 2


async def test_a_kubeconfig_that_names_files_is_refused_and_hinders_no_other() -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    texts = {
        **its_secret("eu", a_kubeconfig()),
        **its_secret("evil", a_kubeconfig(tokenFile=token)),
        **its_secret("junk", "{hush"),
    }
    looker, *_ = capi([a_cluster("eu"), a_cluster("evil"), a_cluster("junk")], texts)
    found = await looker.look()
    assert names(found) == ["eu"]
    assert list(found.faults) == ["fleet/evil", "fleet/junk"]
    assert "hush" not in str(found.faults)


async def test_a_cluster_that_is_being_deleted_has_gone() -> None:
    gone = a_cluster("gone", deletionTimestamp="2026-01-01T00:00:00Z")
    looker, *_ = capi([gone, {}, {"metadata": {"name": "x"}}], {})
    assert names(await looker.look()) == []


def taken(sighting: Sighting, known: Mapping[str, str] | None = None, **options: Any) -> Any:
    config = source("argocd", {"cluster": "hub", **options})
    return choose(config, sighting, known or {})


def a_sighting(*names_: str, **labels: str) -> Sighting:
    return Sighting([Seen({"name": name}, f"at/{name}", labels) for name in names_])


def test_what_is_selected_gets_its_labels_groups_watchers_and_metrics() -> None:
    options: dict[str, Any] = {
        "name": "argo-{name}",
        "select": {"names": ["p*"], "exclude": ["prod-old"], "labels": {"env": "pr*"}},
        "labels": {"team": "sre"},
        "groups": ["found"],
        "watchers": {"events": False},
        "prometheus": {"url": "https://m.example/{name}", "match": {"cluster": "{name}"}},
    }
    sighting = a_sighting("prod-1", "prod-old", "test", env="prod")
    sighting.seen += a_sighting("prod-2", env="dev").seen
    (found,) = taken(sighting, **options).found
    config = found.config
    assert (config.name, config.groups, config.watchers) == (
        "argo-prod-1",
        ("found",),
        {"events": False},
    )
    assert config.labels == {"env": "prod", "team": "sre"}
    assert config.prometheus is not None
    assert config.prometheus.url == "https://m.example/argo-prod-1"
    assert config.prometheus.match == {"cluster": "argo-prod-1"}


@pytest.mark.parametrize(
    ("name", "made"),
    [("EU West/1", "eu-west-1"), ("a@b.c:6443", "a-b.c-6443"), ("-x-", "x"), ("x" * 99, "x" * 63)],
)
def test_a_name_is_put_into_what_a_name_may_hold(name: str, made: str) -> None:
    assert name_of("{name}", {"name": name}) == made


@given(st.text(max_size=80), st.sampled_from(["{name}", "a-{name}", "{name}.{namespace}"]))
def test_any_text_makes_a_name_or_a_fault(name: str, template: str) -> None:
    found = taken(a_sighting(name), name=template)
    assert len(found.found) + len(found.faults) == 1
    assert all(re.match(NAME, one.config.name) for one in found.found)


def test_ten_thousand_clusters_are_bounded_and_those_that_are_known_stay() -> None:
    many = a_sighting(*(f"c-{number:05}" for number in range(10_000)))
    known = {"c-09999": "at/c-09999"}
    found = taken(many, known, most=100)
    assert len(found.found) == 100
    assert found.found[0].config.name == "c-09999"
    assert found.faults == {"most": "9900 clusters more than `most` (100) are not taken"}


def test_a_source_is_named_by_what_it_looks_at() -> None:
    labels = [
        source(type_, options).label
        for type_, options in (
            ("kubeconfig-folder", {"folder_path": "/k"}),
            ("argocd", {"cluster": "hub"}),
            ("ocm", {"cluster": "hub"}),
            ("cluster-api", {"cluster": "hub"}),
        )
    ]
    assert labels == ["kubeconfig-folder /k", "argocd hub/argocd", "ocm hub", "cluster-api hub"]
    assert FolderConfig(folder_path="kc").every_s == timedelta(minutes=1).total_seconds()
