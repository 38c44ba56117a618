"""A Kubernetes control plane on loopback: etcd, API server, controllers, scheduler and kwok."""

from __future__ import annotations

import csv
import json
import shutil
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.testbeds.certificates import Authority, Pair, write_signing_keys
from tests.testbeds.process import Server, reserve_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
CLIENTS = SERVERS[2:]  # of the API server
ADMIN = "admin"
OWN = "servers"  # the user of these servers themselves
_STAGES = Path(__file__).with_name("stages.yaml")
_AUDIT = Path(__file__).with_name("audit.yaml")
# A node is given up when its lease is this old; kwok renews four times in a lease's duration.
_NODE_GRACE_S = 12
_NODE_LEASE_S = 12


@dataclass(frozen=True, slots=True)
class Site:
    """Where one control plane lives: its folder, ports, certificates and tokens."""

    folder: Path
    etcd_port: int
    peer_port: int
    api_port: int
    authority: Authority
    serving: Pair
    service_accounts: Pair
    tokens: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def servers_kubeconfig(self) -> Path:
        return self.folder / "servers.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.folder / "logs" / "audit.log"


class ControlPlane:
    """The five processes of one cluster; each can be stopped and started alone.

    `more` are further arguments of the API server; one that is there already counts no more.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Mapping[str, Path],
        tokens: Mapping[str, str],
        more: Sequence[str] = (),
    ) -> None:
        self._held = ExitStack()
        self.site = prepare(folder, tokens, self._held)
        self._trust = ssl.create_default_context(cafile=str(self.site.authority.certificate))
        commands = arguments(self.site)
        commands["kube-apiserver"] += more
        self._servers = {
            name: Server(name, [str(binaries[name]), *flags], self.logs / f"{name}.log")
            for name, flags in commands.items()
        }

    @property
    def logs(self) -> Path:
        return self.site.folder / "logs"

    def start(self, names: Iterable[str] = SERVERS) -> None:
        """Start servers in the order given; etcd and the API server are ready when it returns.

        Raises:
            NotReadyError: one of these two does not answer; the text has its last log lines.
        """
        for name in names:
            server = self._servers[name]
            server.start()
            if name == "etcd":
                server.ready(self._etcd_answers)
            if name == "kube-apiserver":
                server.ready(self._api_answers)

    def stop(self, names: Iterable[str] = SERVERS) -> None:
        """Stop servers, the last of the names first."""
        for name in reversed(tuple(names)):
            self._servers[name].stop()

    def server(self, name: str) -> Server:
        return self._servers[name]

    def close(self) -> None:
        """Stop everything, give the ports back and remove the data, but not the logs."""
        self.stop()
        self._held.close()
        shutil.rmtree(self.site.folder / "etcd", ignore_errors=True)

    def _etcd_answers(self) -> bool | None:
        return _healthy(f"{self.site.etcd_url}/health", {}, verify=False)

    def _api_answers(self) -> bool | None:
        headers = {"Authorization": f"Bearer {self.site.tokens[ADMIN]}"}
        return _healthy(f"{self.site.url}/readyz", headers, verify=self._trust)


def _healthy(url: str, headers: Mapping[str, str], *, verify: ssl.SSLContext | bool) -> bool | None:
    try:
        answer = httpx.get(url, headers=headers, verify=verify, trust_env=False, timeout=2.0)
    except httpx.TransportError:
        return None
    return answer.is_success or None


def prepare(folder: Path, tokens: Mapping[str, str], held: ExitStack) -> Site:
    """Write keys, tokens and the servers' kubeconfig; hold the ports until `held` closes.

    Args:
        folder: an empty folder of this cluster alone.
        tokens: user name to bearer token; ADMIN and OWN are of system:masters, the others have
            no group.
        held: keeps the reservations of the ports.
    """
    (folder / "logs").mkdir(parents=True)
    authority = Authority(folder / "pki")
    site = Site(
        folder=folder,
        etcd_port=reserve_port(held),
        peer_port=reserve_port(held),
        api_port=reserve_port(held),
        authority=authority,
        serving=authority.sign("kube-apiserver"),
        service_accounts=write_signing_keys(folder / "pki"),
        tokens=tokens,
    )
    with (folder / "tokens.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        for user, token in tokens.items():
            groups = ["system:masters"] if user in {ADMIN, OWN} else []
            rows.writerow([token, user, f"uid-{user}", *groups])
    write_kubeconfig(site.servers_kubeconfig, {OWN: (site, OWN)})
    return site


def write_kubeconfig(path: Path, contexts: Mapping[str, tuple[Site, str]]) -> Path:
    """Write a kubeconfig; context name to cluster and user, the first context is the current one.

    The file is JSON, which is YAML; the authority is named by path, tokens are inline.
    """
    sites = {name: site for name, (site, _user) in contexts.items()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(contexts)),
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": site.url,
                    "certificate-authority": str(site.authority.certificate),
                },
            }
            for name, site in sites.items()
        ],
        "users": [
            {"name": name, "user": {"token": site.tokens[user]}}
            for name, (site, user) in contexts.items()
        ],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name}} for name in contexts
        ],
    }
    path.write_text(json.dumps(config, indent=1))
    path.chmod(0o600)
    return path


def arguments(site: Site) -> dict[str, list[str]]:
    """Return the command line of each server, in the order of starting."""
    pki, keys = site.authority.pair, site.service_accounts
    kubeconfig = f"--kubeconfig={site.servers_kubeconfig}"
    quick = ["--kube-api-qps=400", "--kube-api-burst=800"]
    return {
        "etcd": [
            f"--data-dir={site.folder / 'etcd'}",
            f"--listen-client-urls={site.etcd_url}",
            f"--advertise-client-urls={site.etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{site.peer_port}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ],
        "kube-apiserver": [
            f"--etcd-servers={site.etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={site.api_port}",
            f"--tls-cert-file={site.serving.certificate}",
            f"--tls-private-key-file={site.serving.key}",
            f"--client-ca-file={pki.certificate}",
            f"--token-auth-file={site.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://dogwatch.test",
            f"--service-account-key-file={keys.certificate}",
            f"--service-account-signing-key-file={keys.key}",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            f"--cert-dir={site.folder / 'apiserver'}",
            f"--audit-policy-file={_AUDIT}",
            f"--audit-log-path={site.audit_log}",
            "--audit-log-maxsize=4096",  # MiB: it is read as one file
        ],
        "kube-controller-manager": [
            kubeconfig,
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            f"--service-account-private-key-file={keys.key}",
            f"--root-ca-file={pki.certificate}",
            f"--cluster-signing-cert-file={pki.certificate}",
            f"--cluster-signing-key-file={pki.key}",
            "--secure-port=0",
            f"--node-monitor-grace-period={_NODE_GRACE_S}s",
            "--node-monitor-period=1s",
            *quick,
        ],
        "kube-scheduler": [kubeconfig, "--leader-elect=false", "--secure-port=0", *quick],
        "kwok": [
            kubeconfig,
            f"--config={_STAGES}",
            "--manage-nodes-with-label-selector=chaos!=notready",
            f"--node-lease-duration-seconds={_NODE_LEASE_S}",
        ],
    }
