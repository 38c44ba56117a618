"""What a real API server makes of an object is never a difference, and each change by hand is."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.desired.applied import applied, sealed
from engine.desired.compare import differing
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import path

pytestmark = pytest.mark.real
Obj = dict[str, Any]
SALT = b"salt"
EVERYDAY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

WORDS = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.sampled_from(["", "x", "1", "true", "1h", "a b"])
CPU = st.sampled_from(["1000m", "1", "0.5", "250m", "1e0", 1])
MEMORY = st.sampled_from(["1Gi", "1024Mi", "0.5Gi", "1e9", "1000000000"])
LABELS = st.dictionaries(st.sampled_from(["app", "x.test/tier"]), st.sampled_from(["", "x", "1.0"]))
MAYBE = st.booleans()


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Obj]:
    """Any of the fields, each there or not."""
    return st.fixed_dictionaries({}, optional=fields)


def unique(field: str, items: st.SearchStrategy[Obj]) -> st.SearchStrategy[list[Obj]]:
    return st.lists(items, max_size=3, unique_by=lambda item: item[field])


PORTS = unique(
    "containerPort",
    st.fixed_dictionaries(
        {"containerPort": st.integers(80, 84)},
        optional={"protocol": st.sampled_from(["TCP", "UDP"])},
    ),
)
ENV = unique("name", st.fixed_dictionaries({"name": WORDS}, optional={"value": TEXTS}))
PROBE = some(
    httpGet=st.fixed_dictionaries(
        {"port": st.sampled_from([80, "web"])}, optional={"path": st.just("/x")}
    ),
    periodSeconds=st.integers(1, 20),
    timeoutSeconds=st.integers(1, 5),
).filter(lambda probe: "httpGet" in probe)
AMOUNTS = some(cpu=CPU, memory=MEMORY)
CONTAINER = st.fixed_dictionaries(
    {"name": WORDS, "image": st.sampled_from(["a", "r.test/b:1"])},
    optional={
        "args": st.lists(TEXTS, max_size=3),
        "env": ENV,
        "imagePullPolicy": st.sampled_from(["", "Always"]),
        "ports": PORTS,
        "livenessProbe": PROBE,
        "resources": some(limits=AMOUNTS),
        "securityContext": some(privileged=MAYBE, runAsUser=st.integers(0, 9)),
        "stdin": MAYBE,
        "volumeMounts": st.just([{"name": "tmp", "mountPath": "/tmp"}]),
    },
)
CONTAINERS = st.lists(CONTAINER, min_size=1, max_size=3, unique_by=lambda one: one["name"])
VOLUMES: st.SearchStrategy[Obj] = st.sampled_from(
    [
        {"emptyDir": {}},
        {"emptyDir": {"sizeLimit": "1024Mi"}},
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}},
        {"secret": {"secretName": "s", "defaultMode": 0o400}},
        {
            "projected": {
                "sources": [
                    {
                        "downwardAPI": {
                            "items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]
                        }
                    }
                ]
            }
        },
    ]
)


@st.composite
def pod_specs(draw: st.DrawFn, /, **more: Any) -> Obj:
    fields = draw(
        some(
            hostNetwork=st.just(value=False),
            initContainers=CONTAINERS.map(
                lambda made: [
                    {**one, "name": f"i{one['name']}"} for one in made if "livenessProbe" not in one
                ]
            ),
            nodeSelector=st.dictionaries(WORDS, WORDS, max_size=2),
            securityContext=some(runAsNonRoot=MAYBE),
            serviceAccountName=st.sampled_from(["", "default", "other"]),
            terminationGracePeriodSeconds=st.integers(0, 60),
            tolerations=st.lists(
                st.fixed_dictionaries({"key": WORDS, "operator": st.just("Exists")}), max_size=2
            ),
            topologySpreadConstraints=st.just(
                [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]
            ),
        )
    )
    volume = {"name": "tmp", **draw(VOLUMES)}
    return {"containers": draw(CONTAINERS), "volumes": [volume], **fields, **more}


@st.composite
def deployments(draw: st.DrawFn) -> Obj:
    labels = {"app": "x"}
    more = draw(
        some(
            replicas=st.integers(0, 2),
            strategy=st.sampled_from(
                [{}, {"type": "Recreate"}, {"rollingUpdate": {"maxSurge": "50%"}}]
            ),
            minReadySeconds=st.integers(0, 3),
            paused=MAYBE,
        )
    )
    template = {"metadata": {"labels": labels}, "spec": draw(pod_specs())}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": draw(LABELS), "annotations": draw(LABELS)},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **more},
    }


@st.composite
def cron_jobs(draw: st.DrawFn) -> Obj:
    pod = draw(pod_specs(restartPolicy="Never"))
    job = {"template": {"spec": pod}, **draw(some(backoffLimit=st.integers(0, 3)))}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {},
        "spec": {"schedule": "0 0 1 1 *", "suspend": draw(MAYBE), "jobTemplate": {"spec": job}},
    }


SERVICE_PORTS = st.lists(
    st.fixed_dictionaries(
        {"port": st.integers(80, 84)},
        optional={
            "protocol": st.just("TCP"),
            "targetPort": st.sampled_from([80, "web"]),
            "nodePort": st.just(0),
        },
    ),
    min_size=1, max_size=3, unique_by=lambda one: one["port"],
).map(lambda ports: [{**one, "name": f"p{one['port']}"} for one in ports])  # fmt: skip
SERVICES = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("Service"),
        "metadata": st.fixed_dictionaries({"labels": LABELS}),
        "spec": st.fixed_dictionaries(
            {"ports": SERVICE_PORTS},
            optional={
                "clusterIP": st.sampled_from(["", "None"]),
                "selector": st.dictionaries(WORDS, WORDS, min_size=1, max_size=2),
                "sessionAffinity": st.sampled_from(["", "ClientIP"]),
                "type": st.sampled_from(["", "ClusterIP"]),
            },
        ),
    }
)
CONFIG_MAPS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("ConfigMap"), "metadata": st.just({})},
    optional={"data": st.dictionaries(WORDS, TEXTS), "immutable": st.just(value=False)},
)
SECRETS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Secret"), "metadata": st.just({})},
    optional={
        "data": st.dictionaries(WORDS, st.sampled_from(["", "YQ==", "YWJj"])),
        "stringData": st.dictionaries(WORDS, TEXTS),
    },
)
PATHS = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["/", "/a"]),
            "pathType": st.sampled_from(["Prefix", "Exact"]),
            "backend": st.just({"service": {"name": "web", "port": {"number": 80}}}),
        }
    ),
    min_size=1,
    max_size=2,
)
INGRESSES = st.fixed_dictionaries(
    {
        "apiVersion": st.just("networking.k8s.io/v1"),
        "kind": st.just("Ingress"),
        "metadata": st.fixed_dictionaries({"annotations": LABELS}),
        "spec": st.fixed_dictionaries(
            {"rules": PATHS.map(lambda paths: [{"host": "a.test", "http": {"paths": paths}}])},
            optional={"tls": st.just([{"hosts": ["a.test"], "secretName": "t"}])},
        ),
    }
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "apiGroups": st.just(["", "apps"]),
            "resources": st.lists(st.sampled_from(["pods", "secrets"]), min_size=1, max_size=2),
            "verbs": st.lists(st.sampled_from(["get", "list"]), min_size=1, max_size=2),
        }
    ),
    max_size=2,
)
RBAC = "rbac.authorization.k8s.io"
ROLES = st.fixed_dictionaries(
    {
        "apiVersion": st.just(f"{RBAC}/v1"),
        "kind": st.just("Role"),
        "metadata": st.just({}),
        "rules": RULES,
    }
)
SUBJECTS = st.lists(
    st.sampled_from(
        [
            {"kind": "ServiceAccount", "name": "default", "namespace": "x"},
            {"kind": "User", "name": "u"},
            {"kind": "Group", "name": "g", "apiGroup": RBAC},
        ]
    ),
    max_size=3,
)
BINDINGS = st.fixed_dictionaries(
    {
        "apiVersion": st.just(f"{RBAC}/v1"),
        "kind": st.just("RoleBinding"),
        "metadata": st.just({}),
        "roleRef": st.just({"kind": "Role", "name": "a", "apiGroup": RBAC}),
        "subjects": SUBJECTS,
    }
)
POLICIES = st.fixed_dictionaries(
    {
        "apiVersion": st.just("networking.k8s.io/v1"),
        "kind": st.just("NetworkPolicy"),
        "metadata": st.just({}),
        "spec": st.fixed_dictionaries(
            {"podSelector": st.sampled_from([{}, {"matchLabels": {"a": "b"}}])},
            optional={
                "ingress": st.sampled_from(
                    [[], [{}], [{"ports": [{"port": 80}]}], [{"from": [{"podSelector": {}}]}]]
                ),
                "policyTypes": st.just(["Ingress"]),
            },
        ),
    }
)
METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1000m"}},
}
SCALERS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("autoscaling/v2"),
        "kind": st.just("HorizontalPodAutoscaler"),
        "metadata": st.just({}),
        "spec": st.fixed_dictionaries(
            {
                "scaleTargetRef": st.just(
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
                ),
                "maxReplicas": st.integers(2, 5),
            },
            optional={"metrics": st.just([METRIC]), "behavior": st.just({"scaleDown": {}})},
        ),
    }
)  # fmt: skip
OBJECTS = st.one_of(
    deployments(), cron_jobs(), SERVICES, CONFIG_MAPS, SECRETS, INGRESSES, ROLES, BINDINGS,
    POLICIES, SCALERS,
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(kube: Kube) -> Iterator[tuple[Kube, str]]:
    namespace = kube.namespace("drift")
    # What a module keeps, no test may sweep away.
    kube.made.remove(("Namespace", namespace))
    yield kube, namespace
    kube.delete("Namespace", namespace)


def apply(kube: Kube, obj: Obj, manager: str = "kubectl") -> Obj:
    metadata = obj["metadata"]
    return kube.request(
        "PATCH",
        path(obj["kind"], metadata["name"], metadata["namespace"]),
        params={"fieldManager": manager, "force": "true"},
        content=json.dumps(obj),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def created(kube: Kube, obj: Obj) -> Obj:
    """Create it as `kubectl apply` does: with a copy of itself."""
    last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(obj)}
    notes = {**obj["metadata"].get("annotations", {}), **last}
    (made,) = kube.create({**obj, "metadata": {**obj["metadata"], "annotations": notes}})
    return made


def named(obj: Obj, namespace: str) -> Obj:
    name = f"{obj['kind'].lower()}-{secrets.token_hex(4)}"
    return {**obj, "metadata": {**obj["metadata"], "name": name, "namespace": namespace}}


def told(desired: Obj, live: Obj) -> list[str]:
    return differing(sealed(desired, SALT), sealed(live, SALT), applied(live))


@EVERYDAY
@given(obj=OBJECTS, by_server=MAYBE)
def test_an_object_as_the_server_keeps_it_does_not_differ(
    shop: tuple[Kube, str], obj: Obj, by_server: bool
) -> None:
    kube, namespace = shop
    desired = named(obj, namespace)
    live = apply(kube, desired) if by_server else created(kube, desired)
    assert told(desired, live) == []


SCALARS = (str, int, bool)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*at, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, (*at, number))
    elif isinstance(value, SCALARS):
        yield at


CHANGES: dict[str, Any] = {
    "image": "other:2",
    "replicas": 7,
    "path": "/other",
    "value": "changed",
    "periodSeconds": 27,
    "cpu": "77m",
    "memory": "77Mi",
    "suspend": None,
    "paused": None,
    "stdin": None,
    "backoffLimit": 6,
    "terminationGracePeriodSeconds": 77,
    "maxReplicas": 9,
    "targetPort": 99,
    "schedule": "5 5 1 1 *",
    "verbs": "watch",
    "resources": "nodes",
    "secretName": "other",
    "runAsUser": 77,
    "minReadySeconds": 9,
}


_FIXED = {"backend", "items", "projected"}


def changeable(obj: Obj) -> list[tuple[Any, ...]]:
    found = []
    for at in leaves({name: obj[name] for name in obj if name in {"spec", "data", "rules"}}):
        name = next(step for step in reversed(at) if isinstance(step, str))
        literal = at[0] == "data" and obj["kind"] == "ConfigMap"
        if (name in CHANGES or literal) and not _FIXED.intersection(at):
            found.append(at)
    return found


def changed(obj: Obj, at: tuple[Any, ...]) -> Obj:
    copy: Obj = json.loads(json.dumps(obj))
    inner: Any = copy
    for step in at[:-1]:
        inner = inner[step]
    name = next(step for step in reversed(at) if isinstance(step, str))
    new = CHANGES.get(name, "changed")
    inner[at[-1]] = (not inner[at[-1]]) if new is None else new
    return copy


@EVERYDAY
@given(data=st.data(), obj=OBJECTS.filter(changeable))
def test_a_field_that_somebody_changes_is_told_by_exactly_its_path(
    shop: tuple[Kube, str], data: st.DataObject, obj: Obj
) -> None:
    kube, namespace = shop
    desired = named(obj, namespace)
    apply(kube, desired)
    at = data.draw(st.sampled_from(changeable(desired)))
    live = apply(kube, changed(desired, at), manager="somebody")
    (only,) = told(desired, live)
    assert only.split(".")[-1].split("[")[0] in map(str, at)
    assert told(changed(desired, at), live) == []


@EVERYDAY
@given(obj=deployments())
def test_a_container_that_somebody_adds_and_one_no_longer_desired_are_told(
    shop: tuple[Kube, str], obj: Obj
) -> None:
    kube, namespace = shop
    desired = named(obj, namespace)
    apply(kube, desired)
    more: Obj = json.loads(json.dumps(desired))
    more["spec"]["template"]["spec"]["containers"].append({"name": "evil", "image": "e"})
    live = apply(kube, more)
    assert told(desired, live) == ["spec.template.spec.containers[evil]"]
    assert told(more, live) == []
