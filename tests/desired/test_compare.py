"""What differs is told by its path, and what only reads otherwise is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.desired.applied import applied, sealed
from engine.desired.compare import Ignored, differing

Obj = dict[str, Any]


def a_deployment(**container: Any) -> Obj:
    main = {"name": "web", "image": "web:1", **container}
    spec = {"replicas": 2, "template": {"spec": {"containers": [main]}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": spec,
    }


def an(kind: str, **fields: Any) -> Obj:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **fields}


WEB = "spec.template.spec.containers[web]"


def test_what_a_server_adds_is_no_difference() -> None:
    live = a_deployment(
        imagePullPolicy="Always",
        ports=[{"containerPort": 80, "protocol": "TCP"}],
        resources={},
        terminationMessagePath="/dev/termination-log",
    )
    live["spec"] |= {"strategy": {"type": "RollingUpdate"}, "revisionHistoryLimit": 10}
    live["metadata"] |= {"uid": "u", "annotations": {"deployment.kubernetes.io/revision": "3"}}
    desired = a_deployment(ports=[{"containerPort": 80}], resources=None)
    desired["spec"]["strategy"] = {}
    desired["metadata"] |= {"creationTimestamp": None, "labels": {}}
    desired["status"] = {"replicas": 9}
    assert differing(desired, live) == []


@pytest.mark.parametrize(
    ("desired", "live", "path"),
    [
        ({"image": "web:2"}, {}, ".image"),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]},
         ".env[A].value"),
        ({"env": [{"name": "A", "value": "1000m"}]}, {"env": [{"name": "A", "value": "1"}]},
         ".env[A].value"),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "B"}, {"name": "A"}]}, ".env[B]"),
        ({"env": [{"name": "A"}]}, {}, ".env"),
        ({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 81}]},
         ".ports[80/TCP] .ports[81/TCP]"),
        ({"args": ["a", "b"]}, {"args": ["a", "c"]}, ".args[1]"),
        ({"args": ["a"]}, {"args": ["a", "b"]}, ".args"),
        ({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
         {"resources": {"limits": {"cpu": "1100m", "memory": "1024Mi"}}},
         ".resources.limits.cpu"),
        ({"tty": True}, {}, ".tty"),
        ({"tty": False}, {"tty": True}, ".tty"),
        ({"volumeMounts": [{"mountPath": "/a", "name": "v"}]},
         {"volumeMounts": [{"mountPath": "/a", "name": "w"}]}, ".volumeMounts[/a].name"),
        ({"lifecycle": {"a": 1}}, {"lifecycle": [1]}, ".lifecycle"),
    ],
)  # fmt: skip
def test_a_field_that_differs_is_told_by_its_path(desired: Obj, live: Obj, path: str) -> None:
    told = differing(a_deployment(**desired), a_deployment(**live))
    assert told == [f"{WEB}{one}" for one in path.split()]


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"resources": {"limits": {"cpu": "1000m"}}}, {"resources": {"limits": {"cpu": "1"}}}),
        ({"resources": {"limits": {"cpu": 0.5}}}, {"resources": {"limits": {"cpu": "500m"}}}),
        ({"resources": {"limits": {"m": "1Gi"}}}, {"resources": {"limits": {"m": "1024Mi"}}}),
        ({"env": []}, {}),
        ({"tty": False}, {}),
        ({"stdin": None}, {"stdin": True}),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
        ({"env": [{"name": "A"}, {"name": "B"}]}, {"env": [{"name": "B"}, {"name": "A"}]}),
        ({"readinessProbe": {"httpGet": {"port": "80"}}},
         {"readinessProbe": {"httpGet": {"port": 80}}}),
        ({"ports": [{"containerPort": 80, "protocol": ""}]},
         {"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
    ],
)  # fmt: skip
def test_what_only_reads_otherwise_is_the_same(desired: Obj, live: Obj) -> None:
    assert differing(a_deployment(**desired), a_deployment(**live)) == []


@pytest.mark.parametrize(
    ("desired", "live", "told"),
    [
        ("1h", "60m", []),
        ("1m30s", "90s", []),
        ("1h", "61m", ["spec.interval"]),
        ("soon", "late", ["spec.interval"]),
    ],
)
def test_durations_are_compared_by_their_length(desired: str, live: str, told: list[str]) -> None:
    one, other = (an("Thing", spec={"interval": text}) for text in (desired, live))
    assert differing(one, other) == told


def test_a_selector_says_all_of_what_it_selects() -> None:
    policy = an("NetworkPolicy", spec={"podSelector": {}})
    narrowed = an("NetworkPolicy", spec={"podSelector": {"matchLabels": {"app": "web"}}})
    assert differing(policy, narrowed) == ["spec.podSelector.matchLabels"]
    service = an("Service", spec={"selector": {"app": "web"}})
    other = an("Service", spec={"selector": {"app": "web", "canary": "yes"}})
    assert differing(service, other) == ["spec.selector.canary"]


def test_literal_maps_are_compared_letter_by_letter() -> None:
    one = an("ConfigMap", data={"timeout": "1h", "max": "1000m", "empty": ""})
    other = an("ConfigMap", data={"timeout": "60m", "max": "1", "more": "x"})
    assert differing(one, other) == ["data.empty", "data.max", "data.timeout"]
    label = an("Thing")
    label["metadata"]["labels"] = {"app.kubernetes.io/version": "1.0"}
    assert differing(label, an("Thing")) == ["metadata.labels"]
    named = an("Thing")
    named["metadata"]["labels"] = {"app.kubernetes.io/version": "1"}
    assert differing(label, named) == ["metadata.labels[app.kubernetes.io/version]"]


def test_lists_that_others_add_to_may_have_more() -> None:
    account = an("ServiceAccount", secrets=[{"name": "a"}])
    more = an("ServiceAccount", secrets=[{"name": "token"}, {"name": "a"}])
    assert differing(account, more) == []
    assert differing(more, account) == ["secrets"]
    pod = an("Pod", spec={"tolerations": [{"key": "a"}], "containers": [{"name": "a"}]})
    admitted = an(
        "Pod",
        spec={
            "tolerations": [{"key": "x"}, {"key": "a", "operator": "Equal"}],
            "containers": [{"name": "a"}, {"name": "istio-proxy"}],
        },
    )
    assert differing(pod, admitted) == []


def test_rules_say_which_fields_may_differ() -> None:
    live = a_deployment(image="web:2", env=[{"name": "A", "value": "1"}])
    live["spec"]["replicas"] = 5
    desired = a_deployment(env=[{"name": "A", "value": "2"}])
    all_of_them = ["spec.replicas", f"{WEB}.env[A].value", f"{WEB}.image"]
    assert differing(desired, live) == all_of_them
    for ignored, left in (
        (Ignored(("spec.replicas",)), all_of_them[1:]),
        (Ignored(("spec.template.spec.containers[*].env",)), [all_of_them[0], all_of_them[2]]),
        (Ignored(("spec.template",), kind="Deploy*"), all_of_them[:1]),
        (Ignored(("spec",), kind="Service"), all_of_them),
        (Ignored(("spec",), name="other"), all_of_them),
        (Ignored(("spec.rep",)), all_of_them),
    ):
        assert differing(desired, live, ignored=[ignored]) == left


def test_ca_bundles_are_for_others_to_fill_in() -> None:
    hook = {"name": "h.test", "clientConfig": {"url": "https://a", "caBundle": "Cg=="}}
    filled = {"name": "h.test", "clientConfig": {"url": "https://a", "caBundle": "QUJD"}}
    moved = {"name": "h.test", "clientConfig": {"url": "https://evil", "caBundle": "QUJD"}}
    kind = "ValidatingWebhookConfiguration"
    assert differing(an(kind, webhooks=[hook]), an(kind, webhooks=[filled])) == []
    assert differing(an(kind, webhooks=[hook]), an(kind, webhooks=[moved])) == [
        "webhooks[h.test].clientConfig.url"
    ]


def test_rules_of_an_aggregated_role_are_the_controllers() -> None:
    desired = an("ClusterRole", aggregationRule={"clusterRoleSelectors": [{}]}, rules=[])
    live = an(
        "ClusterRole", aggregationRule={"clusterRoleSelectors": [{}]}, rules=[{"verbs": ["*"]}]
    )
    assert differing(desired, live) == []
    desired.pop("aggregationRule")
    assert differing(desired, live) == ["rules"]


def test_what_is_no_longer_desired_differs_while_it_is_there() -> None:
    last = a_deployment(env=[{"name": "A", "value": "1"}], args=["x"])
    live = a_deployment(env=[{"name": "A", "value": "1"}], args=["x"], tty=True)
    live["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(last)
    }
    known = applied(live)
    assert differing(last, live, known) == []
    assert differing(a_deployment(args=["x"]), live, known) == [f"{WEB}.env"]
    assert differing(a_deployment(env=[]), live, known) == [f"{WEB}.args", f"{WEB}.env[A]"]
    gone = a_deployment(args=["x"])
    assert differing(a_deployment(args=["x"]), gone, known) == []


def test_fields_that_were_applied_by_the_server_are_known_by_their_manager() -> None:
    port: Obj = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    main = {".": {}, "f:name": {}, "f:tty": {}, "f:ports": port}
    fields = {
        "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
        "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': main}}}},
        "f:status": {"f:x": {}},
    }
    live = a_deployment(tty=True, ports=[{"containerPort": 80, "protocol": "TCP"}])
    live["metadata"]["labels"] = {"app.kubernetes.io/name": "web"}
    entry = {"manager": "kustomize-controller", "operation": "Apply", "apiVersion": "apps/v1"}
    live["metadata"]["managedFields"] = [{**entry, "fieldsV1": fields}]
    assert differing(a_deployment(), live, applied(live)) == [
        "metadata.labels",
        f"{WEB}.ports",
        f"{WEB}.tty",
    ]
    for other in ({"manager": "me"}, {"operation": "Update"}, {"apiVersion": "apps/v1beta1"}):
        live["metadata"]["managedFields"] = [{**entry, **other, "fieldsV1": fields}]
        assert applied(live) == []


def a_secret(**fields: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **fields}


def test_values_of_secrets_are_compared_without_being_known() -> None:
    desired = a_secret(data={"a": "Y2FuYXJ5", "gone": "eA=="}, stringData={"b": "canary-two"})
    live = a_secret(data={"a": "Y2FuYXJ5Cg==", "b": "Y2FuYXJ5LXR3bw=="}, type="Opaque")
    one, other = sealed(desired, b"salt"), sealed(live, b"salt")
    assert differing(one, other) == ["data.a", "data.gone"]
    assert "canary" not in json.dumps([one, other])
    assert "Y2Fu" not in json.dumps([one, other])
    assert sealed(desired, b"salt")["data"] != sealed(desired, b"pepper")["data"]


@pytest.mark.parametrize("data", [None, 3, ["x"], {"a": None, "b": 3, "c": {"d": 1}, "e": "%%%"}])
def test_a_secret_of_any_shape_is_sealed(data: Any) -> None:
    made = sealed(a_secret(data=data, stringData=data), b"salt")
    assert all(value.startswith("sealed:") for value in made["data"].values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "env", "ports", "selector", "a"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["spec", "data", "webhooks"]), JSON, max_size=3)


@given(OBJECTS)
def test_an_object_never_differs_from_itself(fields: Obj) -> None:
    assert differing(an("Thing", **fields), an("Thing", **fields)) == []


@given(OBJECTS, OBJECTS, JSON)
def test_objects_of_any_shape_are_compared(one: Obj, other: Obj, notes: Any) -> None:
    live = an("Thing", **other)
    live["metadata"] |= {"managedFields": notes, "annotations": notes, "labels": notes}
    told = differing(an("Thing", **one), live, applied(live))
    assert told == sorted(set(told))


@given(JSON)
def test_managed_fields_and_copies_of_any_shape_are_read(value: Any) -> None:
    metadata = {"managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": value}]}
    copy = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(value)}
    applied({"metadata": metadata})
    applied({"metadata": {"annotations": copy}})
