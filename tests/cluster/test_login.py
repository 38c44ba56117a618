"""Logins out of Secrets: whole in themselves, without files and commands of this machine."""

import base64
import ssl
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.contexts import Context, access
from engine.cluster.login import MAX_BYTES, address, from_argocd, from_kubeconfig, server_of
from engine.model.errors import ClusterError

SERVER = "https://eu.example.com:6443"


def a_kubeconfig(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **rest: Any
) -> bytes:
    whole = {
        "current-context": "admin",
        "contexts": [{"name": "admin", "context": {"cluster": "eu", "user": "admin"}}],
        "clusters": [{"name": "eu", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "admin", "user": {"token": "t", **(user or {})}}],
        **rest,
    }
    return yaml.safe_dump(whole).encode()


def refused(raw: bytes) -> str:
    with pytest.raises(ClusterError) as caught:
        from_kubeconfig(raw)
    assert caught.value.reason == "config"
    return str(caught.value)


async def test_a_kubeconfig_in_memory_gives_address_and_token() -> None:
    login = from_kubeconfig(a_kubeconfig())
    found = await access(Context(login=lambda: login))
    assert (found.server, found.headers) == (SERVER, {"Authorization": "Bearer t"})
    assert server_of(login) == SERVER


async def test_a_login_that_changes_is_read_anew() -> None:
    logins = [from_kubeconfig(a_kubeconfig(user={"token": one})) for one in ("old", "new")]
    context = Context(login=lambda: logins.pop(0))
    told = [(await access(context)).headers["Authorization"] for _ in range(2)]
    assert told == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    "raw",
    [
        a_kubeconfig(user={"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}),
        a_kubeconfig(user={"client-key": "/etc/shadow"}),
        a_kubeconfig(user={"client-certificate": "x.pem"}),
        a_kubeconfig(user={"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}}),
        a_kubeconfig(cluster={"certificate-authority": "../../ca"}),
    ],
)
def test_a_kubeconfig_in_memory_names_no_file(raw: bytes) -> None:
    assert "only what it holds itself is used" in refused(raw)


async def test_a_plugin_runs_only_where_it_is_allowed() -> None:
    plugin = {"command": "touch", "args": ["/tmp/never"], "apiVersion": "v1"}
    login = from_kubeconfig(a_kubeconfig(user={"token": "", "exec": plugin}))
    with pytest.raises(ClusterError, match="the credential plugin 'touch' is not allowed"):
        await access(Context(login=lambda: login))


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "PATH", "", None, 7),
        *("AWS_CONFIG_FILE", "AWS_CA_BUNDLE", "CLOUDSDK_PYTHON", "GOOGLE_APPLICATION_CREDENTIALS"),
        *("AWS_ENDPOINT_URL_STS", "AZURE_AUTHORITY_HOST", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ],
)
def test_a_plugin_gets_no_variable_that_could_lead_it_elsewhere(name: Any) -> None:
    plugin = {"command": "aws", "env": [{"name": name, "value": "/tmp/evil.so"}]}
    said = refused(a_kubeconfig(user={"exec": plugin}))
    assert "allowed: AAD_" in said
    with pytest.raises(ClusterError, match="allowed: AAD_"):
        from_argocd(SERVER, {"execProviderConfig": {"command": "aws", "env": {name: "x"}}})


def test_a_plugin_gets_the_variables_that_say_who_asks() -> None:
    env = {"AWS_PROFILE": "prod", "AWS_STS_REGIONAL_ENDPOINTS": "regional"}
    login = from_argocd(SERVER, {"execProviderConfig": {"command": "aws", "env": env}})
    plugin = login["users"][0]["user"]["exec"]
    assert {one["name"]: one["value"] for one in plugin["env"]} == env


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"clusters: [", "it is no YAML"),
        (b"\xff\xfe\x00", "it is no YAML"),
        (b"current-context: !!bool maybe", "it is no YAML"),
        (b"current-context: !!timestamp x", "it is no YAML"),
        (b"current-context: !!int ''", "it is no YAML"),
        (b"[1, 2]", "it is no kubeconfig"),
        (b"", "it is no kubeconfig"),
        (b"{}", "it has no current-context"),
        (b"current-context: [a]", "its current-context is no text"),
        (b"{current-context: a, users: 7}", "its users are no list of mappings with a name"),
        (b"{current-context: a, contexts: [{}]}", "its contexts are no list"),
        (b"x" * (MAX_BYTES + 1), "it is larger than 1 MiB"),
    ],
)
def test_what_is_no_kubeconfig_is_told_without_showing_it(raw: bytes, said: str) -> None:
    assert said in refused(raw)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists, max_leaves=4))
def test_no_strange_kubeconfig_breaks_more_than_itself(part: Any) -> None:
    for field in ("clusters", "contexts", "users", "current-context"):
        raw = a_kubeconfig(**{field: part})
        with suppress(ClusterError):  # and nothing else
            server_of(from_kubeconfig(raw))


async def test_argo_cd_keeps_token_and_authority() -> None:
    ca = base64.b64encode(b"no certificate").decode()
    config = {"bearerToken": "secret", "tlsClientConfig": {"caData": ca, "serverName": "eu"}}
    login = from_argocd(SERVER, config)
    with pytest.raises((ClusterError, ssl.SSLError)):  # it is taken up, and is no certificate
        await access(Context(login=lambda: login))
    plain = from_argocd(SERVER, {"bearerToken": "secret", "tlsClientConfig": {"insecure": True}})
    found = await access(Context(login=lambda: plain))
    assert found.headers == {"Authorization": "Bearer secret"}
    assert found.tls.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("server", "config", "said"),
    [
        ("", {"bearerToken": "hush"}, "server is no address"),
        ("eu.example.com", {"bearerToken": "hush"}, "server is no address"),
        ("https://[::1", {"bearerToken": "hush"}, "server is no address"),
        (SERVER, {}, "config has no bearerToken"),
        (SERVER, {"bearerToken": ["hush"]}, "bearerToken is no text"),
        (SERVER, {"tlsClientConfig": "hush"}, "tlsClientConfig is no mapping"),
        (SERVER, {"tlsClientConfig": {"keyData": "hush!"}}, "client-key-data is no base64"),
        (SERVER, {"execProviderConfig": {"args": ["hush"]}}, "execProviderConfig needs a command"),
        (SERVER, {"execProviderConfig": {"command": "a", "env": ["hush"]}}, "env is no mapping"),
    ],
)
def test_what_is_no_login_of_argo_cd_is_told_without_showing_it(
    server: str, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClusterError, match=said) as caught:
        from_argocd(server, config)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("https://me:hush@eu:6443/k8s/x?token=hush#y", "https://eu:6443/k8s/x"),
        ("https://[fd00::1]:6443", "https://[fd00::1]:6443"),
        ("https://eu:port", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(server: Any, shown: str) -> None:
    assert address(server) == shown
