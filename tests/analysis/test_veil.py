"""Credentials in the clear do not leave the watcher; everything else does."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.veil import Mark, Numbers, salted, veiled

CANARY = "Zq7xW3kT9bVn2LmR5yHd"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
PLAIN = {
    "metadata": {
        "name": "web",
        "annotations": {
            "checksum/config": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "deployment.kubernetes.io/revision": "7",
            "example.com/owner": "team shop",
            "cni.projectcalico.org/podIP": "10.244.1.7/32",
            "cni.projectcalico.org/containerID": "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2,
            "k8s.v1.cni.cncf.io/network-status": '[{"name": "cbr0", "ips": ["10.244.1.7"]}]',
            "kubectl.kubernetes.io/restartedAt": "2026-01-31T12:00:00Z",
            "image": "registry.example.com/shop/web@sha256:" + "a1" * 32,
        },
    },
    "spec": {
        "replicas": 3,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "shop/web:1.2.3",
                        "args": ["--port", "8080", "--log=info"],
                        "env": [
                            {"name": "LOG_LEVEL", "value": "info"},
                            {"name": "TOKEN_PATH", "value": "/var/run/secrets/tokens/vault"},
                            {"name": "TOKEN_TTL", "value": "3600"},
                            {"name": "PASSWORD_LOGIN", "value": "false"},
                            {"name": "DB", "value": "postgres://shop@db.shop.svc:5432/shop"},
                            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db"}}},
                        ],
                    }
                ]
            }
        },
    },
}


def a_container(**fields: Any) -> dict[str, Any]:
    return {"name": "web", **fields}


@pytest.mark.parametrize(
    "container",
    [
        a_container(env=[{"name": "DB_PASSWORD", "value": f"a word {CANARY}"}]),
        a_container(env=[{"name": "URL", "value": f"postgres://shop:{CANARY}@db:5432/shop"}]),
        a_container(env=[{"name": "X", "value": f"ghp_{CANARY}"}]),
        a_container(args=["--token", CANARY]),
        a_container(command=["sh", "-c", f"login --password={CANARY} && run"]),
        a_container(env=[{"name": "PEM", "value": f"-----BEGIN PRIVATE KEY-----{CANARY}"}]),
        a_container(
            env=[{"name": "PEM", "value": f"-----BEGIN RSA PRIVATE KEY-----\nab/\n{CANARY}\n"}]
        ),
        a_container(env=[{"name": "BLOB", "value": CANARY * 300}]),
    ],
)
@pytest.mark.parametrize("place", ["pod", "deployment", "cronjob"])
def test_a_credential_of_a_container_is_taken_out(container: dict[str, Any], place: str) -> None:
    spec: dict[str, Any] = {"initContainers": [container], "containers": [container]}
    if place != "pod":
        spec = {"template": {"spec": spec}}
    if place == "cronjob":
        spec = {"jobTemplate": {"spec": spec}}
    assert CANARY not in str(veiled({"metadata": {"name": "web"}, "spec": spec}, Numbers()))


def test_a_credential_in_an_annotation_is_taken_out() -> None:
    annotations = {"example.com/initial-password": f"it is {CANARY}", "note": f'{{"k":"{CANARY}"}}'}
    assert CANARY not in str(veiled({"metadata": {"annotations": annotations}}, Numbers()))


def a_login(text: str) -> dict[str, Any]:
    return {"spec": {"containers": [a_container(env=[{"name": "DB_PASSWORD", "value": text}])]}}


@pytest.mark.parametrize("mark", [Numbers(), salted(b"of this process")])
def test_that_a_credential_changed_is_seen_and_nothing_else_of_it(mark: Mark) -> None:
    first, same, other = (veiled(a_login(one), mark) for one in (CANARY, CANARY, CANARY[::-1]))
    assert first == same != other
    assert CANARY not in str(first)
    assert veiled(first, mark) == first


def test_what_is_no_credential_stays_and_the_object_is_left_as_it_was() -> None:
    before = deepcopy(PLAIN)
    assert veiled(PLAIN, Numbers()) == before
    assert before == PLAIN


@given(JSON, JSON, JSON)
def test_objects_of_any_shape_are_taken(metadata: Any, spec: Any, container: Any) -> None:
    veiled({"metadata": metadata, "spec": spec}, Numbers())
    veiled(
        {"metadata": {"annotations": metadata}, "spec": {"containers": [container, spec]}},
        Numbers(),
    )
