"""Kubeconfigs and service accounts: what is taken from them, and what is refused."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.contexts import Context, access, context_names
from engine.model.errors import ClusterError
from tests.testbeds.certificates import Authority


def a_kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "west",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "west", "context": {"cluster": "c", "user": "u"}},
            {"name": "nobody", "context": {"cluster": "c"}},
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config"
    file.write_text(json.dumps(config))
    return str(file)


def a_plugin(folder: Path, script: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plugin"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return "./plugin"


def running(command: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, **more}}


async def refused(context: Context) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        await access(context)
    assert "\n" not in str(caught.value)
    return caught.value


async def test_a_token_becomes_a_header(tmp_path: Path) -> None:
    found = await access(Context(a_kubeconfig(tmp_path, {"token": "t0ken"})))
    assert (found.server, found.headers) == (
        "https://127.0.0.1:1",
        {"Authorization": "Bearer t0ken"},
    )
    assert found.tls.check_hostname


async def test_a_context_without_a_user_has_no_credentials(tmp_path: Path) -> None:
    found = await access(Context(a_kubeconfig(tmp_path, {"token": "x"}), "nobody"))
    assert found.headers == {}


async def test_a_token_file_is_read_anew_each_time_and_relative_to_the_kubeconfig(
    tmp_path: Path,
) -> None:
    context = Context(a_kubeconfig(tmp_path, {"tokenFile": "token"}))
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token + "\n")
        assert (await access(context)).headers == {"Authorization": f"Bearer {token}"}


async def test_user_and_password_are_basic_authentication(tmp_path: Path) -> None:
    found = await access(Context(a_kubeconfig(tmp_path, {"username": "me", "password": "pw"})))
    assert found.headers == {"Authorization": "Basic " + base64.b64encode(b"me:pw").decode()}


async def test_new_certificates_are_noticed_and_new_tokens_need_no_new_connection(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "pki")
    pairs = [authority.sign(name) for name in ("me", "other")]
    materials = []
    for pair, token in ((pairs[0], "a"), (pairs[0], "b"), (pairs[1], "b")):
        user = {
            "token": token,
            "client-certificate-data": base64.b64encode(pair.certificate.read_bytes()).decode(),
            "client-key": str(pair.key),
        }
        found = await access(
            Context(
                a_kubeconfig(
                    tmp_path, user, **{"certificate-authority": authority.certificate.as_posix()}
                )
            )
        )
        materials.append(found.material)
    assert materials[0] == materials[1] != materials[2]


async def test_certificates_are_checked_unless_the_kubeconfig_says_otherwise(
    tmp_path: Path,
) -> None:
    lax = await access(Context(a_kubeconfig(tmp_path, {}, **{"insecure-skip-tls-verify": True})))
    assert not lax.tls.check_hostname
    named = await access(Context(a_kubeconfig(tmp_path, {}, **{"tls-server-name": "api"})))
    assert named.tls.check_hostname
    assert named.server_name == "api"


async def test_the_files_of_the_environment_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    a_kubeconfig(first, {"tokenFile": "token"})
    (first / "token").write_text("of-a")
    a_kubeconfig(second, {"token": "of-b"})
    other = json.loads((second / "config").read_text())
    other["contexts"].append({"name": "east", "context": {"cluster": "c", "user": "u"}})
    (second / "config").write_text(json.dumps(other))
    monkeypatch.setenv("KUBECONFIG", f"{first}/config:{second}/config")
    assert context_names() == ["west", "nobody", "east"]
    assert (await access(Context(context="east"))).headers == {"Authorization": "Bearer of-a"}


async def test_a_plugin_runs_only_if_it_is_allowed(tmp_path: Path) -> None:
    command = a_plugin(tmp_path, "touch ran; echo '{}'")
    error = await refused(Context(a_kubeconfig(tmp_path, running(command))))
    assert error.reason == "config"
    assert "plugin './plugin' is not allowed; exec_commands lists: none" in str(error)
    assert not (tmp_path / "ran").exists()


async def test_an_allowed_plugin_gives_the_token(tmp_path: Path) -> None:
    answer = '{"kind":"ExecCredential","status":{"token":"\'$1-$GIVEN\'"}}'
    command = a_plugin(tmp_path, f"test -n \"$KUBERNETES_EXEC_INFO\" && echo '{answer}'")
    user = running(command, args=["made"], env=[{"name": "GIVEN", "value": "here"}])
    found = await access(Context(a_kubeconfig(tmp_path, user), exec_commands=frozenset({command})))
    assert found.headers == {"Authorization": "Bearer made-here"}
    assert found.refresh_s > 60


async def test_an_allowed_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "pki").sign("me")
    status = {
        "clientCertificateData": pair.certificate.read_text(),
        "clientKeyData": pair.key.read_text(),
    }
    (tmp_path / "answer").write_text(json.dumps({"status": status}))
    command = a_plugin(tmp_path, "cat answer")
    allowed = frozenset({command})
    kubeconfig = a_kubeconfig(tmp_path, running(command))
    plain = await access(Context(a_kubeconfig(tmp_path / "plain", {})))
    found = await access(Context(kubeconfig, exec_commands=allowed))
    assert found.headers == {}
    assert found.material != plain.material


@pytest.mark.parametrize(
    ("script", "reason", "text"),
    [
        ("sleep 60", "timeout", "took longer than 0.3 s"),
        ("exit 3", "unauthorized", "ended with 3"),
        ("echo nothing", "unauthorized", "gave no ExecCredential"),
        ("echo '{\"status\": {}}'", "unauthorized", "gave no ExecCredential"),
        ("echo '[]'", "unauthorized", "gave no ExecCredential"),
    ],
)
async def test_a_plugin_that_fails_is_told_of(
    tmp_path: Path, script: str, reason: str, text: str
) -> None:
    command = a_plugin(tmp_path, f"exec {script}" if script == "sleep 60" else script)
    context = Context(
        a_kubeconfig(tmp_path, running(command)),
        exec_commands=frozenset({command}),
        exec_timeout_s=0.3,
    )
    error = await refused(context)
    assert error.reason == reason
    assert text in str(error)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (
            {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}}},
            "gcp is not supported",
        ),
        ({"tokenFile": "gone"}, "No such file"),
        ({"client-certificate": "gone"}, "File does not exist"),
        ({"client-certificate-data": "!"}, "west"),
        (running("./gone"), "is not allowed"),
    ],
)
async def test_wrong_credentials_are_told_of_in_one_line(
    tmp_path: Path, user: dict[str, Any], text: str
) -> None:
    error = await refused(Context(a_kubeconfig(tmp_path, user), "west"))
    assert error.reason == "config"
    assert text in str(error)


@pytest.mark.parametrize(
    "text", ["", "[]", "hello", "{", "contexts: 3", "contexts: [1]", "contexts: [{}]", "users: {}"]
)
async def test_a_file_that_is_no_kubeconfig_is_told_of(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    assert (await refused(Context(str(file), "west"))).reason == "config"


async def test_an_unknown_context_is_told_with_the_known_ones(tmp_path: Path) -> None:
    error = await refused(Context(a_kubeconfig(tmp_path, {}), "wets"))
    assert "no such context; known: west, nobody; did you mean 'west'?" in str(error)


async def test_a_missing_kubeconfig_and_a_missing_service_account_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such file" in str(await refused(Context(str(tmp_path / "gone"))))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert "service account: " in str(await refused(Context(in_cluster=True)))
    with pytest.raises(ClusterError, match="no such file"):
        context_names(str(tmp_path / "gone"))
