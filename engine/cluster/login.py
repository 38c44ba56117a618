"""Logins: kubeconfigs that come out of Secrets. They are kept in memory, and name no files. Pure.

Who can write such a Secret must not be able to read files of this machine with it, nor run a
command here: a kubeconfig that names a file is refused, and plugins run only if they are allowed.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from engine.model import safe_yaml
from engine.model.errors import ClusterError

Login = Mapping[str, Any]
"""A kubeconfig as a mapping: clusters, contexts, users, current-context."""
MAX_BYTES: Final = 1 << 20
_FILES: Final = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
    "auth-provider",
)
_TO_PLUGINS: Final = frozenset(
    {
        *("AAD_ENVIRONMENT_NAME", "AAD_LOGIN_METHOD"),
        *("AAD_SERVICE_PRINCIPAL_CLIENT_ID", "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET"),
        *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_REGION"),
        *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_SECRET_ACCESS_KEY"),
        *("AWS_SESSION_TOKEN", "AWS_STS_REGIONAL_ENDPOINTS"),
        *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_ENVIRONMENT", "AZURE_TENANT_ID"),
        *("CLOUDSDK_ACTIVE_CONFIG_NAME", "CLOUDSDK_COMPUTE_REGION", "CLOUDSDK_COMPUTE_ZONE"),
        *("CLOUDSDK_CORE_ACCOUNT", "CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    }
)
"""Variables that a Secret may give to a plugin. None names a file of this machine, a program, or
an address: who is asked there would get the credentials that the plugin finds here.

Source: aws-iam-authenticator and aws eks get-token, kubelogin, gcloud.
"""


def from_kubeconfig(raw: bytes) -> Login:
    """Return the kubeconfig `raw`, which must hold all that it needs.

    Raises:
        ClusterError: `config`, it is too large, no kubeconfig, or names files.
    """
    found = parsed(raw)
    if not found.get("current-context"):
        raise _refused("it has no current-context")
    for part in ("clusters", "users"):
        for entry in found.get(part) or []:
            inner = entry.get(part.removesuffix("s"))
            _refuse_files(inner if isinstance(inner, dict) else {})
    return found


def parsed(raw: bytes) -> Login:
    """Return the kubeconfig `raw`, whose lists have names, whatever else is in it.

    Raises:
        ClusterError: `config`, it is too large, or no kubeconfig.
    """
    if len(raw) > MAX_BYTES:
        raise _refused(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        found = safe_yaml.load(raw)
    except ValueError as error:
        raise _refused("it is no YAML") from error
    if not isinstance(found, dict):
        raise _refused("it is no kubeconfig")
    if not isinstance(found.get("current-context") or "", str):
        raise _refused("its current-context is no text")
    for part in ("clusters", "contexts", "users"):
        entries = found.get(part) or []
        if not isinstance(entries, list) or not all(map(_named, entries)):
            raise _refused(f"its {part} are no list of mappings with a name")
    return found


def server_of(login: Login) -> str:
    """Return the address in `login`, without a password; empty where it names none."""
    contexts = {one.get("name"): one.get("context") for one in login.get("contexts") or []}
    context = contexts.get(login.get("current-context"))
    wanted = context.get("cluster") if isinstance(context, dict) else None
    for one in login.get("clusters") or []:
        if one.get("name") == wanted and isinstance(one.get("cluster"), dict):
            return address(one["cluster"].get("server"))
    return ""


def address(server: Any) -> str:
    """Return the address of a server as it may be shown: without user and query."""
    try:
        parts = urlsplit(server if isinstance(server, str) else "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"[:300]


def from_argocd(server: str, config: Mapping[str, Any]) -> Login:
    """Return the login that Argo CD has for `server`.

    Args:
        server: address of the API server.
        config: {bearerToken, tlsClientConfig {insecure, serverName, caData, certData, keyData},
            execProviderConfig {command, args, env, apiVersion}}.

    Raises:
        ClusterError: `config`, it is of another form, or has no login that is known here.

    Source: Argo CD, declarative setup of clusters.
    """
    if not address(server):
        raise _refused("server is no address of an API server")
    tls = _mapping(config, "tlsClientConfig")
    cluster = {"server": server, **_texts(tls, {"caData": "certificate-authority-data"})}
    if tls.get("insecure") is True:
        cluster["insecure-skip-tls-verify"] = True
    if isinstance(tls.get("serverName"), str) and tls["serverName"]:
        cluster["tls-server-name"] = tls["serverName"]
    user = {
        **_texts(tls, {"certData": "client-certificate-data", "keyData": "client-key-data"}),
        **_texts(config, {"bearerToken": "token"}),
    }
    plugin = _mapping(config, "execProviderConfig")
    if plugin:
        user["exec"] = _plugin(plugin)
    if not user:
        raise _refused("config has no bearerToken, certData and keyData, or execProviderConfig")
    for name in ("certificate-authority-data", "client-certificate-data", "client-key-data"):
        _check_base64(name, {**cluster, **user}.get(name))
    return {
        "clusters": [{"name": "found", "cluster": cluster}],
        "users": [{"name": "found", "user": user}],
        "contexts": [{"name": "found", "context": {"cluster": "found", "user": "found"}}],
        "current-context": "found",
    }


def _plugin(plugin: Mapping[str, Any]) -> dict[str, Any]:
    args, env = plugin.get("args") or [], plugin.get("env") or {}
    if not isinstance(plugin.get("command"), str) or not isinstance(args, list):
        raise _refused("execProviderConfig needs a command, and args as a list")
    if not isinstance(env, dict):
        raise _refused("execProviderConfig.env is no mapping")
    for name in env:
        _refuse_variable(name)
    return {
        "command": plugin["command"],
        "args": [str(one) for one in args],
        "env": [{"name": str(n), "value": str(v)} for n, v in env.items()],
        "apiVersion": str(plugin.get("apiVersion") or "client.authentication.k8s.io/v1"),
    }


def _named(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)


def _refuse_files(inner: Mapping[str, Any]) -> None:
    for name in _FILES:
        if inner.get(name):
            raise _refused(f"it has {name}: only what it holds itself is used")
    plugin = inner.get("exec")
    env = plugin.get("env") if isinstance(plugin, dict) else None
    for one in env if isinstance(env, list) else ():
        _refuse_variable(one.get("name") if isinstance(one, dict) else one)


def _refuse_variable(name: Any) -> None:
    if not isinstance(name, str) or name not in _TO_PLUGINS:
        known = ", ".join(sorted(_TO_PLUGINS))
        raise _refused(f"its plugin asks for the variable '{str(name)[:40]}'; allowed: {known}")


def _mapping(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, dict):
        raise _refused(f"{name} is no mapping")
    return value


def _texts(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, ours in names.items():
        value = config.get(name)
        if value and not isinstance(value, str):
            raise _refused(f"{name} is no text")
        if value:
            found[ours] = value
    return found


def _check_base64(name: str, value: Any) -> None:
    try:
        base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(f"{name} is no base64") from error


def _refused(why: str) -> ClusterError:
    """Return the error; it never holds what was found, which may be secret."""
    return ClusterError("config", f"no login: {why}")
