"""Contexts: from a kubeconfig or a pod's service account to what a connection needs."""

import asyncio
import copy
import hashlib
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml import YAMLError

from engine.cluster.login import Login
from engine.cluster.plugin import run_plugin
from engine.model.errors import ClusterError, nearest

DEFAULT_KUBECONFIG = "~/.kube/config"
REFRESH_S = 60.0
_WRONG = (
    *(YAMLError, OSError, ValueError, TypeError, AttributeError),
    *(LookupError, ArithmeticError, RecursionError),
)
"""What the client raises, besides its own error, for a kubeconfig of a strange shape."""
PLUGIN_REFRESH_S = 600.0
_NOWHERE = "/"
"""Where plugins of a kubeconfig start that lies in no file."""


@dataclass(frozen=True)
class Context:
    """How one cluster is reached.

    Attributes:
        kubeconfig: a file, or several joined by `:`; None means $KUBECONFIG, and without
            that ~/.kube/config.
        context: name within the kubeconfig; None means its current one.
        in_cluster: use the service account of the pod that this process runs in.
        exec_commands: credential plugins that may be run, as written in the kubeconfig.
        exec_timeout_s: seconds that a plugin may take.
        account_folder: where the service account's token and ca.crt lie.
        login: gives a kubeconfig that lies in no file, as it is now; the others are ignored then.
        act_as: a user to be impersonated, such as `system:serviceaccount:NAMESPACE:NAME`;
            empty: the identity of the credentials.
    """

    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False
    exec_commands: frozenset[str] = frozenset()
    exec_timeout_s: float = 30.0
    account_folder: str = "/var/run/secrets/kubernetes.io/serviceaccount"
    act_as: str = ""
    login: Callable[[], Login] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Access:
    """What a connection needs now, to be read again after `refresh_s`.

    `material` changes when a new connection is due.
    """

    server: str
    tls: ssl.SSLContext
    material: str
    server_name: str | None = None
    proxy: str | None = None
    refresh_s: float = REFRESH_S
    headers: Mapping[str, str] = field(default_factory=dict)


async def access(context: Context) -> Access:
    """Return the present credentials of `context`, read anew.

    Raises:
        ClusterError: `config` when a file is missing or wrong or a plugin is not allowed,
            `timeout` or `unauthorized` when a plugin fails.
    """
    kubernetes = await asyncio.to_thread(_kubernetes)
    refused = (kubernetes.config.ConfigException, *_WRONG)
    try:
        configuration, refresh_s = await _configuration(context)
        return _access(configuration, refresh_s)
    except refused as error:
        raise ClusterError("config", f"{_place(context)}: {_line(error)}") from error


def context_names(kubeconfig: str | None = None) -> list[str]:
    """Return the contexts of a kubeconfig, in its order.

    Raises:
        ClusterError: `config`, the file is missing or wrong.
    """
    refused = (_kubernetes().config.ConfigException, *_WRONG)
    try:
        merged = _merged(_path(kubeconfig))
        return [entry.value["name"] for entry in merged.value["contexts"]]
    except refused as error:
        raise ClusterError("config", f"{_path(kubeconfig)}: {_line(error)}") from error


async def _configuration(context: Context) -> tuple[Any, float]:
    kubernetes = _kubernetes()
    configuration = kubernetes.client.Configuration()
    if context.in_cluster:
        folder = Path(context.account_folder)
        kubernetes.config.incluster_config.InClusterConfigLoader(
            str(folder / "token"), str(folder / "ca.crt"), try_refresh_token=False
        ).load_and_set(configuration)
        return configuration, REFRESH_S
    held = context.login
    merged = _merged(_path(context.kubeconfig)) if held is None else _held(held())
    name = (None if held else context.context) or merged["current-context"]
    names = [entry.value["name"] for entry in merged.value["contexts"]]
    if name not in names:
        known = ", ".join(names) or "none"
        raise ClusterError(
            "config", f"{_place(context)}: no such context; known: {known}{nearest(name, names)}"
        )
    refresh_s = await _authenticate(merged, name, context)
    loader = kubernetes.config.kube_config.KubeConfigLoader(merged, name, config_base_path=None)
    loader.load_and_set(configuration)
    return configuration, refresh_s


async def _authenticate(merged: Any, name: str, context: Context) -> float:
    """Replace a plugin in `merged` by what it answered, so that the client runs none.

    Returns the seconds after which to ask again.
    """
    entry = merged["contexts"].get_with_name(name)["context"]
    user = entry.safe_get("user")
    found = (
        merged["users"].get_with_name(user, safe=True) if user and merged.value["users"] else None
    )
    if found is None:
        return REFRESH_S
    login = found["user"].value
    provider = login.get("auth-provider") or {}
    if provider and provider.get("name") != "oidc":
        raise ClusterError(
            "config", f"{_place(context)}: auth-provider {provider.get('name')} is not supported"
        )
    if "exec" in login and not (login.get("token") or login.get("tokenFile")):
        status = await run_plugin(
            login.pop("exec"),
            _folder(found.path),
            context.exec_commands,
            timeout_s=context.exec_timeout_s,
        )
        login.update(status)
        return PLUGIN_REFRESH_S
    return REFRESH_S


def _kubernetes() -> Any:
    """Import the client late: it takes 0.6 s, and only who reaches a cluster should pay."""
    import kubernetes.client  # noqa: PLC0415
    import kubernetes.config  # noqa: PLC0415

    return kubernetes


def _folder(file: str) -> Path:
    return Path(file).resolve().parent


def _merged(path: str) -> Any:
    merged = _kubernetes().config.kube_config.KubeConfigMerger(path).config
    if merged is None:
        raise FileNotFoundError("no such file")
    return merged


def _held(login: Login) -> Any:
    """Return a kubeconfig that lies in no file as the client has those that do."""
    node = _kubernetes().config.kube_config.ConfigNode
    lists = ("clusters", "contexts", "users")
    parts = {name: [node(name, one, _NOWHERE) for one in login.get(name) or []] for name in lists}
    return node("kubeconfig", {**copy.deepcopy(dict(login)), **copy.deepcopy(parts)}, _NOWHERE)


def _path(kubeconfig: str | None) -> str:
    return kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG


def _place(context: Context) -> str:
    if context.in_cluster:
        return "service account"
    if context.login is not None:
        return "kubeconfig in memory"
    named = f" context {context.context}" if context.context else ""
    return f"{_path(context.kubeconfig)}{named}"


def _access(configuration: Any, refresh_s: float) -> Access:
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    token = (configuration.api_key.get("BearerToken") or "").strip()
    if not (token.isascii() and token.isprintable()):
        # The client of HTTP would refuse it too, and show it in its message.
        raise ValueError("the token has characters that no token has")
    return Access(
        server=configuration.host,
        tls=tls,
        material=_material(configuration),
        server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
        refresh_s=refresh_s,
        headers={"Authorization": token} if token else {},
    )


def _material(configuration: Any) -> str:
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    parts = [Path(file).read_bytes() if file else b"" for file in files]
    said = (configuration.host, configuration.verify_ssl, configuration.tls_server_name)
    return hashlib.sha256(repr((said, configuration.proxy, parts)).encode()).hexdigest()


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())[:300]
