"""Writers of the test clusters, and operations on what is there."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engine.cluster.contexts import Context
from engine.cluster.writer import ClusterWriter
from engine.model.change import Operation, Target, Verb
from engine.model.errors import ClusterError
from tests.cluster.readers import as_persona
from tests.testbeds.audit import USER_AGENT, logged
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import KINDS, Manifest, a_deployment, an_object
from tests.testbeds.personas import ANY_KIND

SALT = b"the same for all writers of a test"


@contextlib.asynccontextmanager
async def a_writer(
    context: Context, *, act_as: str = "", patience_s: int = 30
) -> AsyncGenerator[ClusterWriter]:
    """Give a writer of the context's own identity, or of one that it impersonates."""
    writer = ClusterWriter("west", context, act_as=act_as, salt=SALT, patience_s=patience_s)
    try:
        yield writer
    finally:
        await writer.aclose()


def a_kind(kube: Kube) -> contextlib.AbstractAsyncContextManager[ClusterWriter]:
    """Give a writer that may do everything, as a mission kind would."""
    return a_writer(as_persona(kube), act_as=ANY_KIND)


def approved(kube: Kube) -> str:
    """Return the name of a new namespace in which dogwatch may write."""
    namespace = kube.namespace()
    kube.audit.approve(namespace)
    return namespace


def a_web(kube: Kube, namespace: str, replicas: int = 1) -> Manifest:
    """Return a deployment `web` that nothing moves any more."""
    kube.create(a_deployment("web", namespace, replicas=replicas))
    done = {"NewReplicaSetAvailable", "MinimumReplicasAvailable"}

    def found() -> Manifest | None:
        web = kube.get("Deployment", "web", namespace)
        status = web.get("status", {})
        reasons = {each["reason"] for each in status.get("conditions", [])}
        return web if reasons == done and status.get("availableReplicas", 0) == replicas else None

    return kube.until(found, "deployment web available")


def resource(kind: str) -> str:
    """Return how readers name a kind: `deployments.apps`."""
    version, plural, _ = KINDS[kind]
    group = version.rpartition("/")[0]
    return f"{plural}.{group}" if group else plural


def a_target(obj: Manifest, **changed: str) -> Target:
    return Target(
        cluster="west",
        cluster_uid="",
        api_version=obj["apiVersion"],
        kind=obj["kind"],
        resource=resource(obj["kind"]),
        namespace=obj["metadata"].get("namespace", ""),
        name=obj["metadata"]["name"],
        uid=obj["metadata"].get("uid", ""),
    ).model_copy(update=changed)


def an_operation(verb: Verb, obj: Manifest, **patch: Any) -> Operation:
    return Operation(verb=verb, target=a_target(obj), patch=patch)


def version(obj: Manifest) -> str:
    return str(obj["metadata"]["resourceVersion"])


def live(kube: Kube, obj: Manifest) -> Manifest:
    metadata = obj["metadata"]
    return kube.get(obj["kind"], metadata["name"], metadata.get("namespace", ""))


def sent(kube: Kube, namespace: str) -> int:
    """Return how often dogwatch asked the server to change something there."""
    ours = [event for event in logged(kube) if event["userAgent"] == USER_AGENT]
    return sum(event["objectRef"].get("namespace") == namespace for event in ours)


def a_config(kube: Kube, **data: str) -> Manifest:
    (made,) = kube.create(an_object("ConfigMap", "c", approved(kube), data=data))
    return made


async def failure(writer: ClusterWriter, operation: Operation, at: str) -> ClusterError:
    """Return why the server does not do it."""
    with pytest.raises(ClusterError) as caught:
        await writer.write(operation, version=at, dry_run=False)
    assert "\n" not in str(caught.value)
    return caught.value
