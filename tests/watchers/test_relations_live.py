"""Fields that depend on other objects, over a real API server."""

from typing import Any

import pytest

from tests.cluster.readers import as_persona
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import a_deployment, an_object
from tests.watchers.test_live import Heard, listening
from watchers.events import EventsConfig
from watchers.objects import RESOURCES, ObjectsConfig

pytestmark = pytest.mark.real
WATCHED = {
    "objects": ObjectsConfig(resources=(*RESOURCES, "secrets"), related_every_s=0.2),
    "events": EventsConfig(),
}


def last(heard: Heard, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    """Return the data of the newest signal about an object, nothing before there is one."""
    about = [s.data for s in heard.of(kind, namespace) if s.type == "k8s.object"]
    return next((data for data in reversed(about) if data["name"] == name), {})


async def test_a_namespace_and_its_claim_follow_what_comes_and_goes_in_it(kube: Kube) -> None:
    space = kube.namespace()
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    kube.create(an_object("PersistentVolumeClaim", "data", space, spec=size))

    def says(**wanted: Any) -> bool:
        now = last(heard, "Namespace", space)
        return all(now.get(name) == value for name, value in wanted.items())

    async with listening(as_persona(kube), WATCHED) as heard:
        nothing = {"pods": 0, "running": 0, "exposed": False, "policies": 0}
        await heard.until(lambda: says(**nothing), "an empty namespace")
        claim = "PersistentVolumeClaim"
        await heard.until(lambda: last(heard, claim, "data", space), "the claim")
        assert last(heard, claim, "data", space)["used"] is False
        first = last(heard, "Namespace", space)["lastActivity"]
        kube.create(
            a_deployment("web", space, volumes=[volume]),
            an_object("Service", "web", space, spec={"type": "NodePort", "ports": [{"port": 80}]}),
            an_object("NetworkPolicy", "none", space, spec={"podSelector": {}}),
        )
        full = {"pods": 1, "exposed": True, "policies": 1}
        await heard.until(lambda: says(**full), "what is in it")
        await heard.until(lambda: last(heard, claim, "data", space)["used"], "a used claim")
        kube.delete("Deployment", "web", space)
        kube.delete("NetworkPolicy", "none", space)
        await heard.until(lambda: says(pods=0, policies=0), "that it is empty again")
        await heard.until(lambda: not last(heard, claim, "data", space)["used"], "an unused claim")
    assert last(heard, "Namespace", space)["lastActivity"] >= first
    told = [s for s in heard.of("Namespace", "") if s.data["name"] == space]
    assert told[0].data.keys() >= nothing.keys()
    assert len({s.id for s in told}) == len(told)


async def test_a_binding_is_wide_as_soon_as_its_role_is(kube: Kube) -> None:
    space = kube.namespace()
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "Group", "name": "ops", "apiGroup": group}
    ref = {"apiGroup": group, "kind": "Role", "name": "ops"}
    async with listening(as_persona(kube), WATCHED) as heard:
        await heard.until(lambda: heard.beats("objects"), "heartbeat")
        kube.create(an_object("RoleBinding", "ops", space, subjects=[subject], roleRef=ref))
        await heard.until(lambda: last(heard, "RoleBinding", "ops", space), "the binding")
        assert "wildcard" not in last(heard, "RoleBinding", "ops", space)
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        kube.create(an_object("Role", "ops", space, rules=rules))
        await heard.until(
            lambda: last(heard, "RoleBinding", "ops", space).get("wildcard"), "a wide binding"
        )
    assert last(heard, "RoleBinding", "ops", space)["change"] == "added"


async def test_a_secret_says_when_its_values_were_written_and_never_what_they_are(
    kube: Kube,
) -> None:
    space = kube.namespace()

    def owned() -> str:
        entries = kube.get("Secret", "db", space)["metadata"]["managedFields"]
        (time,) = [e["time"] for e in entries if "f:data" in e["fieldsV1"]]
        return str(time)

    kube.create(an_object("Secret", "db", space, stringData={"password": "canary-7d1f"}))
    async with listening(as_persona(kube), WATCHED) as heard:
        await heard.until(lambda: last(heard, "Secret", "db", space), "the secret")
        assert last(heard, "Secret", "db", space)["rotatedAt"] == owned()
        kube.patch("Secret", "db", space, stringData={"password": "canary-8e2a"})
        changed = "modified"
        await heard.until(
            lambda: last(heard, "Secret", "db", space)["change"] == changed, "a new value"
        )
        assert last(heard, "Secret", "db", space)["rotatedAt"] == owned()
    assert "canary" not in str(heard.signals)
    shown = last(heard, "Secret", "db", space)["object"]
    assert not {"written", "rotated", "managedFields"} & {*shown, *shown["metadata"]}
