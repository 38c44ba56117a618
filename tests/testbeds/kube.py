"""A real cluster for tests: what they ask of it, in few words."""

from __future__ import annotations

import secrets
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from tests.testbeds.audit import Audit
from tests.testbeds.controlplane import (
    ADMIN,
    CLIENTS,
    OWN,
    SERVERS,
    ControlPlane,
    Site,
    write_kubeconfig,
)
from tests.testbeds.manifests import Manifest, a_node, a_pod, an_object, path
from tests.testbeds.personas import PERSONAS, grants
from tests.testbeds.process import NotReadyError, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

_MERGE = {"Content-Type": "application/merge-patch+json"}
_FIRST_NODES = 3


class RefusedError(Exception):
    """The API server refused a request; `status` is the HTTP code, the text is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Kube:
    """One running cluster: three nodes at first, as many users as there are personas.

    Objects of a test go into `namespace()`; nodes that a test breaks come from `node()`, which
    no other test's pods are put on.
    """

    def __init__(self, name: str, plane: ControlPlane) -> None:
        self.name = name
        self.plane = plane
        self.audit = Audit(plane.site.audit_log)
        self.made: list[tuple[str, str]] = []  # kind and name of namespaces and nodes
        self._clients: dict[str, httpx.Client] = {}

    @property
    def site(self) -> Site:
        return self.plane.site

    @property
    def url(self) -> str:
        return self.site.url

    @property
    def ca(self) -> Path:
        return self.site.authority.certificate

    @property
    def tokens(self) -> Mapping[str, str]:
        return self.site.tokens

    @property
    def kubeconfig(self) -> Path:
        """Contexts: the cluster's name for the admin, and `<name>-<persona>` for the others."""
        target = self.site.folder / "kubeconfig"
        if not target.exists():
            kubeconfig(target, self.contexts())
        return target

    def contexts(self) -> dict[str, tuple[Kube, str]]:
        """Return context name to cluster and persona, as `kubeconfig` takes it."""
        others = {f"{self.name}-{user}": (self, user) for user in PERSONAS if user != ADMIN}
        return {self.name: (self, ADMIN), **others}

    def api(self, persona: str = ADMIN) -> httpx.Client:
        """Return the client of one persona; it closes with the cluster."""
        if persona not in self._clients:
            self._clients[persona] = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self.tokens[persona]}"},
                verify=ssl.create_default_context(cafile=str(self.ca)),
                trust_env=False,
                timeout=10.0,
            )
        return self._clients[persona]

    def request(self, method: str, url: str, **rest: Any) -> Manifest:
        """Return the decoded answer to a request of the admin.

        Raises:
            RefusedError: any status from 400 on.
        """
        answer = self.api().request(method, url, **rest)
        body: Manifest = answer.json()
        if answer.is_error:
            raise RefusedError(answer.status_code, body.get("message", answer.text))
        return body

    def create(self, *objects: Manifest) -> list[Manifest]:
        """Create objects in the order given; return them as the server stored them."""
        made = []
        for each in objects:
            where = path(each["kind"], namespace=each["metadata"].get("namespace", ""))
            made.append(self.request("POST", where, json=each))
        return made

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        return self.request("GET", path(kind, name, namespace))

    def list(self, kind: str, namespace: str = "", **selectors: str) -> list[Manifest]:
        """Return the items; selectors are `labelSelector` and `fieldSelector`."""
        items: list[Manifest] = self.request("GET", path(kind, "", namespace), params=selectors)[
            "items"
        ]
        return items

    def patch(self, kind: str, name: str, namespace: str = "", **change: Any) -> Manifest:
        """Merge top-level fields (`spec=...`, `metadata=...`) into an object."""
        where = path(kind, name, namespace)
        return self.request("PATCH", where, json=change, headers=_MERGE)

    def patch_status(self, kind: str, name: str, namespace: str = "", **change: Any) -> Manifest:
        """Merge fields into the status of an object."""
        where = f"{path(kind, name, namespace)}/status"
        return self.request("PATCH", where, json={"status": change}, headers=_MERGE)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self.request("DELETE", path(kind, name, namespace))

    def namespace(self, prefix: str = "test") -> str:
        """Return the name of a new namespace in which pods can be created."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.create(an_object("Namespace", name))
        self.made.append(("Namespace", name))
        self.until(lambda: self.exists("ServiceAccount", "default", name), f"namespace {name}")
        return name

    def node(self, prefix: str = "node", **labels: str) -> str:
        """Return the name of a new Ready node that only pods with `on_node(name)` are put on."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.create(a_node(name, labels=labels, reserved=True))
        self.made.append(("Node", name))
        self.await_condition("Node", name, "Ready")
        return name

    def sweep(self, keep: int = 0) -> None:
        """Delete the namespaces and nodes made here, but for the first so many."""
        for kind, name in self.made[keep:]:
            self.api().delete(path(kind, name))
        del self.made[keep:]

    def await_swept(self) -> None:
        """Wait until what was swept has gone: deleted namespaces go on for a while.

        Raises:
            NotReadyError: something stays for more than a minute.
        """
        self.until(
            lambda: (
                not any(
                    each["metadata"].get("deletionTimestamp") for each in self.list("Namespace")
                )
            ),
            "namespaces that are deleted",
        )

    def label(self, kind: str, name: str, namespace: str = "", **labels: str | None) -> Manifest:
        """Set labels, or take those away that are None."""
        return self.patch(kind, name, namespace, metadata={"labels": labels})

    def stop_heartbeats(self, node: str) -> None:
        """Let a node die: it turns NotReady (status Unknown) after the grace of 12 seconds."""
        self.label("Node", node, chaos="notready")

    def resume_heartbeats(self, node: str) -> None:
        self.label("Node", node, chaos=None)

    def condition(self, kind: str, name: str, condition: str, namespace: str = "") -> str | None:
        """Return the status of a condition, or None when the object does not have it."""
        found = self.get(kind, name, namespace).get("status", {}).get("conditions", [])
        return next((each["status"] for each in found if each["type"] == condition), None)

    def await_condition(
        self, kind: str, name: str, condition: str, namespace: str = "", status: str = "True"
    ) -> None:
        """Wait until a condition of an object has a status.

        Raises:
            NotReadyError: it has not after a minute.
        """
        self.until(
            lambda: self.condition(kind, name, condition, namespace) == status,
            f"{kind} {name}: {condition} {status}",
        )

    def until(self, probe: Callable[[], T | None], what: str, timeout_s: float = 60.0) -> T:
        """Wait until the probe returns something true, and return that.

        Raises:
            NotReadyError: the time is over; the text says what was waited for.
        """
        value = eventually(lambda: probe() or None, timeout_s)
        if value is None:
            raise NotReadyError(f"{what}: not within {timeout_s:.0f} s")
        return value

    @contextmanager
    def without(self, *servers: str) -> Iterator[None]:
        """Run a block while servers are stopped, such as "kube-apiserver"; then start them.

        Controllers, scheduler and kwok are stopped along with what they live on: left alone, they
        would come back at a time of their own, after up to a minute.
        """
        lost = set(servers) - set(CLIENTS)
        stopped = sorted({*servers, *(CLIENTS if lost else ())}, key=SERVERS.index)
        self.plane.stop(stopped)
        try:
            yield
        finally:
            self.plane.start(name for name in stopped if name not in CLIENTS)
            if "kwok" in stopped:
                self._end_leases()
            self.plane.start(name for name in stopped if name in CLIENTS)

    def _end_leases(self) -> None:
        """Let a new kwok take the nodes at once instead of after the old one's leases."""
        self.request("DELETE", path("Lease", namespace="kube-node-lease"))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.plane.close()

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        answer = self.api().get(path(kind, name, namespace))
        return answer.is_success


def start_kube(name: str, folder: Path, binaries: Mapping[str, Path]) -> Kube:
    """Start a cluster and return it when a pod of its own has been scheduled and runs.

    Args:
        name: of the cluster, and of its admin's context.
        folder: an empty folder for its files.
        binaries: executables by server name.

    Raises:
        NotReadyError: a server did not come up; all are stopped again.
    """
    tokens = {user: f"{user}-{secrets.token_hex(16)}" for user in (OWN, *PERSONAS)}
    kube = Kube(name, ControlPlane(folder, binaries, tokens))
    try:
        kube.plane.start()
        nodes = [f"{name}-{number}" for number in range(_FIRST_NODES)]
        kube.create(*grants(), *map(a_node, nodes))
        for node in nodes:
            kube.await_condition("Node", node, "Ready")
        _run_a_pod(kube)
    except BaseException:
        kube.close()
        raise
    return kube


def kubeconfig(target: Path, contexts: Mapping[str, tuple[Kube, str]]) -> Path:
    """Write a kubeconfig of several clusters: context name to cluster and persona."""
    return write_kubeconfig(
        target, {name: (kube.site, persona) for name, (kube, persona) in contexts.items()}
    )


def _run_a_pod(kube: Kube) -> None:
    namespace = kube.namespace("probe")
    kube.create(a_pod("probe", namespace))
    kube.await_condition("Pod", "probe", "Ready", namespace)
    kube.sweep()
