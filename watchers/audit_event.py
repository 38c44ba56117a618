"""One entry of an audit log: whether it is told of, and what of it. Pure.

What was asked and answered is never read: its fields are not in the form below.

Source: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/.
"""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from engine.model.config import Config
from engine.model.signal import MADE_BY, Signal

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
_READS: Final = frozenset({"get", "list", "watch"})
_CONNECTS: Final = frozenset({"exec", "attach", "portforward", "proxy"})
_DENIED: Final = frozenset({401, 403})
_AGENT_SHOWN: Final = 256
_GROUPS_SHOWN: Final = 50
_DECISION: Final = "authorization.k8s.io/decision"
_DEPRECATED: Final = "k8s.io/deprecated"
_KINDS: Final = {
    "pods": "Pod",
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "services": "Service",
    "namespaces": "Namespace",
    "nodes": "Node",
    "serviceaccounts": "ServiceAccount",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "deployments.apps": "Deployment",
    "statefulsets.apps": "StatefulSet",
    "daemonsets.apps": "DaemonSet",
    "jobs.batch": "Job",
    "cronjobs.batch": "CronJob",
    "roles.rbac.authorization.k8s.io": "Role",
    "rolebindings.rbac.authorization.k8s.io": "RoleBinding",
    "clusterroles.rbac.authorization.k8s.io": "ClusterRole",
    "clusterrolebindings.rbac.authorization.k8s.io": "ClusterRoleBinding",
}


class AuditFilter(Config):
    """Which requests are told of.

    Attributes:
        stages: of a request; a session of exec is complete when it ends.
        writes: create, update, patch and delete, dry runs left out.
        denied: what was answered 401 or 403, whoever asked.
        connects: exec, attach, portforward and proxy.
        secret_reads: get, list and watch of Secrets.
        ignore_resources: globs of `resource.group` that are passed over, but where denied.
        ignore_users: globs of users that are passed over, but where denied or of a connect.
        own_users: globs of the accounts of dogwatch: a request of theirs, by its program, is
            marked so that no rule chases it. The program alone says nothing: anybody can claim it.
    """

    stages: tuple[Stage, ...] = ("ResponseComplete", "Panic")
    writes: bool = True
    denied: bool = True
    connects: bool = True
    secret_reads: bool = True
    ignore_resources: tuple[str, ...] = (
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "*reviews.authentication.k8s.io",
        "*reviews.authorization.k8s.io",
        "endpoints",
        "endpointslices.discovery.k8s.io",
    )
    ignore_users: tuple[str, ...] = (
        "system:apiserver",
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:node:*",
        "system:serviceaccount:kube-system:*",
    )
    own_users: tuple[str, ...] = ("system:serviceaccount:dogwatch:*",)


class _User(msgspec.Struct):
    username: str = ""
    groups: list[str] = []


class _Ref(msgspec.Struct, rename="camel"):
    resource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    subresource: str = ""


class _Status(msgspec.Struct):
    code: int | None = None


class AuditEvent(msgspec.Struct, rename="camel"):
    """What is read of an entry; nothing else of it gets into this process."""

    audit_id: str = msgspec.field(name="auditID")
    stage: Stage
    verb: str = ""
    request_uri: str = msgspec.field(default="", name="requestURI")
    user: _User = msgspec.field(default_factory=_User)
    impersonated_user: _User | None = None
    source_ips: list[str] = msgspec.field(default_factory=list, name="sourceIPs")
    user_agent: str = ""
    object_ref: _Ref | None = None
    response_status: _Status | None = None
    request_received_timestamp: str = ""
    annotations: dict[str, str] = {}

    @property
    def acting(self) -> _User:
        """Who the request was done as."""
        return self.impersonated_user or self.user

    @property
    def resource(self) -> str:
        """The resource with its group, such as deployments.apps; empty for none."""
        ref = self.object_ref
        if ref is None:
            return ""
        return f"{ref.resource}.{ref.api_group}" if ref.api_group else ref.resource

    @property
    def code(self) -> int | None:
        """The status of the answer, None while there is none."""
        return self.response_status.code if self.response_status else None


def wanted(event: AuditEvent, chosen: AuditFilter) -> bool:
    """Say whether `event` is told of."""
    if event.stage not in chosen.stages:
        return False
    if event.code in _DENIED:
        return chosen.denied
    if _matches(event.resource, chosen.ignore_resources):
        return False
    if event.object_ref is not None and event.object_ref.subresource in _CONNECTS:
        return chosen.connects
    return not _matches(event.acting.username, chosen.ignore_users) and _of_interest(event, chosen)


def _of_interest(event: AuditEvent, chosen: AuditFilter) -> bool:
    if event.verb in _READS:
        return chosen.secret_reads and event.resource == "secrets"
    return chosen.writes and bool(event.resource) and not _dry_run(event)


def signal(
    event: AuditEvent, source: str, cluster: str, now: datetime, chosen: AuditFilter
) -> Signal:
    """Return `event` as a signal of `now`: an entry may come half a minute late, in a batch."""
    ref = event.object_ref or _Ref()
    return Signal(
        id=f"audit/{event.audit_id}/{event.stage}",
        source=source,
        type="audit",
        subject="/".join(part for part in (event.resource, ref.namespace, ref.name) if part)
        or None,
        time=now,
        cluster=cluster,
        data=_data(event, ref, chosen),
    )


def _data(event: AuditEvent, ref: _Ref, chosen: AuditFilter) -> dict[str, Any]:
    acting = event.acting
    texts = {
        "apiGroup": ref.api_group,
        "resource": ref.resource,
        "subresource": ref.subresource,
        "namespace": ref.namespace,
        "name": ref.name,
        "kind": _KINDS.get(event.resource, ""),
        "node": ref.name if event.resource == "nodes" else "",
        "userAgent": event.user_agent[:_AGENT_SHOWN],
        "sourceAddress": event.source_ips[0] if event.source_ips else "",
        "requestTime": event.request_received_timestamp,
        "impersonated": event.impersonated_user.username if event.impersonated_user else "",
    }
    data: dict[str, Any] = {
        **{name: text for name, text in texts.items() if text},
        "verb": event.verb,
        "user": event.user.username,
        "groups": acting.groups[:_GROUPS_SHOWN],
        "deprecated": event.annotations.get(_DEPRECATED) == "true",
        "stage": event.stage,
    }
    if event.code is not None:
        data["code"] = event.code
    allowed = _allowed(event)
    if allowed is not None:
        data["allowed"] = allowed
    if _own(event, chosen):
        data |= {"madeBy": MADE_BY, "depth": 1}
    return data


def _allowed(event: AuditEvent) -> bool | None:
    """Return whether it was permitted, None where nothing says so."""
    if event.code in _DENIED:
        return False
    decision = event.annotations.get(_DECISION)
    if decision is not None:
        return decision == "allow"
    return None if event.code is None else True


def _own(event: AuditEvent, chosen: AuditFilter) -> bool:
    program = event.user_agent.partition("/")[0]
    users = (event.user.username, event.acting.username)
    return program == MADE_BY and any(_matches(one, chosen.own_users) for one in users)


def _dry_run(event: AuditEvent) -> bool:
    if "dryRun" not in event.request_uri:
        return False
    try:
        return parse_qs(urlsplit(event.request_uri).query).get("dryRun") == ["All"]
    except ValueError:
        return False


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
