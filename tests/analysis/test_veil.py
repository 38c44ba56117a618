"""Credentials in the clear do not leave the watcher; everything else does."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.veil import Mark, Numbers, salted, veiled

CANARY = "Zq7xW3kT9bVn2LmR5yHd"
WEAK = "hunter12secret"
"""A password of which only its place says that it is one."""
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


COMMANDS = [
    "mkdir -p /data/db",
    "nginx -g daemon off; -p 8080",
    "nc -z -p 5432 db",
    "server -p 8080:80 -a 0.0.0.0 -w 4 -P 9000",
    "server -p tcp --user nobody --auth none",
    "run -p profile",
    "gosu postgres postgres -c config_file=/etc/postgresql.conf",
    "wait-for -u db:5432 -t 30",
    "chroot --user 1000:1000 --user www:www",
    "kubectl port-forward -p 8080 svc/web",
    "redis-server /etc/redis.conf --port 6379",
    "redis-cli -h db -p 6379 -a $(REDIS_PASSWORD) ping",
    "mysqladmin ping -h 127.0.0.1 --protocol=tcp",
    "mysqld --port=3306",
    "mongosh --port 27017 --eval db.adminCommand('ping')",
    "pg_isready -U shop -d shop -h 127.0.0.1 -p 5432",
    "docker run -p 80:80 nginx",
    "zip -r out.zip .",
    "java -Xmx512m -XX:+UseG1GC -jar /app.jar --spring.profiles.active=prod",
    "python -m http.server 8000 --bind 0.0.0.0",
    "thanos sidecar --tsdb.path=/prometheus --http-address=:10902",
    "etcd --name=node-1 --client-cert-auth=true --peer-client-cert-auth=true",
    "kube-apiserver --authorization-mode=Node,RBAC --service-account-issuer=https://kubernetes",
    "coredns -conf /etc/coredns/Corefile",
    "wget -q -O- http://localhost:8080/healthz?pass=1",
    "curl -sf -u $(USER):$(PASS) http://localhost/healthz",
]
VARIABLES = [
    ("AUTH", "oidc"),
    ("BASIC_AUTH", "true"),
    ("HTTP_AUTH", "none"),
    ("PROXY_PASS", "http://backend.shop.svc:8080"),
    ("DB_PASS", "$(DB_PASSWORD)"),
    ("COMPASS", "north"),
    ("AUTHOR", "shop"),
    ("TLS_AUTH", "/etc/ta.key"),
    ("SECRET_NAME", "web-tls"),
    ("secretProviderClass", "vault-db"),
    ("JAVA_OPTS", "-Xms256m -Xmx512m -Dserver.port=8080"),
    ("BROKERS", "kafka-0.kafka:9092,kafka-1.kafka:9092"),
]


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
        a_container(env=[{"name": "PASS", "value": WEAK}]),
        a_container(env=[{"name": "REDIS_AUTH", "value": WEAK}]),
        a_container(env=[{"name": "smtpPass", "value": WEAK}]),
        a_container(args=["-u", "root", "-p", "hunter12secret"]),
        a_container(args=["--requirepass", WEAK]),
        a_container(command=["redis-cli"], args=["-h", "db", "-a", WEAK]),
        a_container(command=["/usr/bin/mysql", f"-p{WEAK}", "shop"]),
        a_container(command=["sshpass", "-p", WEAK, "ssh", "host"]),
        a_container(command=["curl", "-u", f"me:{WEAK}", "http://db"]),
        a_container(command=["sh", "-c", f"curl -s -u 'me:{WEAK}' http://x"]),
        a_container(command=["sh", "-c", f"set -e\nredis-cli -a {WEAK} ping | grep PONG"]),
        a_container(command=["sh", "-c", f"mysql -u root -p{WEAK} \\\n -e 'select 1'"]),
        a_container(command=["sh", "-c", f"mongosh -u me -p '{WEAK}' --eval 1"]),
        a_container(command=["sh", "-c", f"export PASS={WEAK}; run"]),
        a_container(livenessProbe={"exec": {"command": ["redis-cli", "-a", WEAK, "ping"]}}),
        a_container(
            readinessProbe={
                "httpGet": {"httpHeaders": [{"name": "Authorization", "value": f"Basic {WEAK}"}]}
            }
        ),
        a_container(startupProbe={"httpGet": {"path": f"/live?token={WEAK}"}}),
        a_container(lifecycle={"preStop": {"exec": {"command": ["leave", f"--token={WEAK}"]}}}),
        a_container(
            lifecycle={
                "postStart": {"httpGet": {"httpHeaders": [{"name": "X-Auth", "value": WEAK}]}}
            }
        ),
    ],
)
@pytest.mark.parametrize("place", ["pod", "deployment", "cronjob"])
def test_a_credential_of_a_container_is_taken_out(container: dict[str, Any], place: str) -> None:
    spec: dict[str, Any] = {"initContainers": [container], "containers": [container]}
    if place != "pod":
        spec = {"template": {"spec": spec}}
    if place == "cronjob":
        spec = {"jobTemplate": {"spec": spec}}
    told = veiled({"metadata": {"name": "web"}, "spec": spec}, Numbers())
    assert not any(one in str(told) for one in (CANARY, WEAK))
    assert veiled(told, Numbers()) == told


def test_a_credential_in_an_annotation_is_taken_out() -> None:
    annotations = {"example.com/initial-password": f"it is {CANARY}", "note": f'{{"k":"{CANARY}"}}'}
    assert CANARY not in str(veiled({"metadata": {"annotations": annotations}}, Numbers()))


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "csi": {"volumeAttributes": {"password": WEAK}}}]},
        {"volumes": [{"name": "v", "flexVolume": {"options": {"secret": WEAK}}}]},
        {"csi": {"volumeAttributes": {"dbPass": WEAK}}},
        {"template": {"spec": {"volumes": [{"flexVolume": {"options": {"auth": WEAK}}}]}}},
    ],
)
def test_a_credential_in_the_options_of_a_volume_is_taken_out(spec: dict[str, Any]) -> None:
    assert WEAK not in str(veiled({"spec": spec}, Numbers()))
    assert WEAK not in str(veiled({"parameters": {"restuserpass": "x", "token": WEAK}}, Numbers()))


@pytest.mark.parametrize(
    "command", [one.split() for one in COMMANDS] + [["sh", "-c", one] for one in COMMANDS]
)
def test_an_ordinary_command_stays_as_it_is(command: list[str]) -> None:
    container = a_container(command=command, args=command, lifecycle={"preStop": {"exec": {}}})
    probe = {"exec": {"command": command}}
    spec = {"containers": [{**container, "livenessProbe": probe}]}
    assert veiled({"spec": spec}, Numbers()) == {"spec": spec}


@pytest.mark.parametrize(("name", "value"), VARIABLES)
def test_an_ordinary_variable_stays_as_it_is(name: str, value: str) -> None:
    spec = {"containers": [a_container(env=[{"name": name, "value": value}])]}
    assert veiled({"spec": spec}, Numbers()) == {"spec": spec}


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
