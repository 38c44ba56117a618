"""deploy/node-agent.yaml: its configuration loads, and it may do no more than it needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from engine.app.configured import load_config
from tests.deploy.scene import OURS
from tests.testbeds.identities import manifests
from tests.testbeds.manifests import path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kube import Kube

OBJECTS = {each["kind"]: each for each in manifests("node-agent.yaml")}
POD: dict[str, Any] = OBJECTS["DaemonSet"]["spec"]["template"]["spec"]
(AGENT,) = POD["containers"]
MOUNTS = {one["name"]: one for one in AGENT["volumeMounts"]}


def test_the_configuration_loads_with_the_name_that_the_pod_is_given(tmp_path: Path) -> None:
    (env,) = AGENT["env"]
    assert env["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    text = OBJECTS["ConfigMap"]["data"]["dogwatch.yaml"]
    (tmp_path / "token").write_text("secret")
    file = tmp_path / "dogwatch.yaml"
    file.write_text(re.sub(r"/run/secrets/dogwatch/token", "token", text))
    settings = load_config(str(file), {env["name"]: "node-1"})
    assert settings.node is not None
    assert (settings.node.name, settings.node.root) == ("node-1", "/host")
    port = int(settings.http.listen.rpartition(":")[2])
    assert [one["containerPort"] for one in AGENT["ports"]] == [port]


def test_it_runs_the_image_of_dogwatch_in_the_role_of_a_node() -> None:
    assert AGENT["image"] in {service["image"] for service in OURS.values()}
    assert AGENT["args"][:3] == ["run", "--role", "node"]
    folder = MOUNTS["config"]["mountPath"]
    assert AGENT["args"][-2:] == [
        "--config",
        f"{folder}/{next(iter(OBJECTS['ConfigMap']['data']))}",
    ]


def test_the_host_is_seen_read_only_and_below_the_root_that_is_configured() -> None:
    root = yaml.safe_load(OBJECTS["ConfigMap"]["data"]["dogwatch.yaml"])["node"]["root"]
    seen = {one["name"]: one["hostPath"]["path"] for one in POD["volumes"] if "hostPath" in one}
    assert {MOUNTS[name]["mountPath"] for name in seen} == {root + own for own in seen.values()}
    assert all(one["readOnly"] for one in AGENT["volumeMounts"])
    assert all(own.startswith("/sys/") for own in seen.values())


def test_it_has_no_rights_in_the_cluster() -> None:
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & set(OBJECTS)
    assert POD["automountServiceAccountToken"] is False
    assert OBJECTS["ServiceAccount"]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD)


@pytest.mark.real
def test_a_server_takes_it_and_has_nothing_against_it_but_the_paths_of_the_host(kube: Kube) -> None:
    namespace = kube.namespace("agent")
    kube.label("Namespace", namespace, **{"pod-security.kubernetes.io/warn": "restricted"})
    params = {"dryRun": "All", "fieldValidation": "Strict"}
    warnings = []
    for each in OBJECTS.values():
        if each["kind"] == "Namespace":
            continue
        moved = {**each, "metadata": {**each["metadata"], "namespace": namespace}}
        answer = kube.api().post(path(each["kind"], "", namespace), json=moved, params=params)
        assert answer.is_success, answer.text
        warnings += answer.headers.get_list("Warning")
    (said,) = warnings
    against = said.replace("\\", "").partition('"restricted:latest": ')[2]
    assert re.fullmatch(r'restricted volume types \(volumes [^()]*"hostPath"\)"?', against), said
