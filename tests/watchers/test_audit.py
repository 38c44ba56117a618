"""What API servers audit: which requests are told of, and that nothing else of them gets in."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from engine.bus.codec import encode
from tests.watchers.posting import received, the_signal
from tests.watchers.sources import NOON
from watchers.audit import AuditReceiverConfig

CANARY = "hunter2-canary"


def an_event(verb: str = "create", resource: str = "deployments.apps", **fields: Any) -> Any:
    name, _, group = resource.partition(".")
    ref = {"resource": name, "namespace": "shop", "name": "web", "apiGroup": group,
           "apiVersion": "v1"} | fields.pop("ref", {})  # fmt: skip
    code = fields.pop("code", 201)
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "a-1",
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/shop/deployments?fieldManager=kubectl",
        "verb": verb,
        "user": {"username": "ann", "uid": "u1", "groups": ["devs", "system:authenticated"],
                 "extra": {"token": [CANARY]}},
        "sourceIPs": ["10.1.2.3", "10.0.0.1"],
        "userAgent": "kubectl/v1.36",
        "objectRef": ref,
        "responseStatus": {"code": code, "message": CANARY},
        "requestObject": {"data": {"password": CANARY}},
        "responseObject": {"data": {"password": CANARY}},
        "requestReceivedTimestamp": "2026-01-31T11:59:40.000001Z",
        "stageTimestamp": "2026-01-31T11:59:40.100001Z",
        "annotations": {"authorization.k8s.io/decision": "allow",
                        "authorization.k8s.io/reason": CANARY},
        **fields,
    }  # fmt: skip


def a_list(*events: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {},
            "items": list(events), **fields}  # fmt: skip


async def told(*events: Any, **options: Any) -> list[dict[str, Any]]:
    got = await received("audit", a_list(*events), cluster="eu", **options)
    assert got.refused == []
    return [signal.data for signal in got.signals]


async def test_a_request_becomes_a_signal_with_all_fields_and_nothing_of_its_bodies() -> None:
    signal = await the_signal("audit", a_list(an_event()), cluster="eu")
    assert (signal.type, signal.cluster, signal.time) == ("audit", "eu", NOON)
    assert (signal.id, signal.source) == ("audit/a-1/ResponseComplete", "watchers/audit/eu")
    assert signal.subject == "deployments.apps/shop/web"
    assert signal.data == {
        "apiGroup": "apps",
        "resource": "deployments",
        "namespace": "shop",
        "name": "web",
        "kind": "Deployment",
        "userAgent": "kubectl/v1.36",
        "sourceAddress": "10.1.2.3",
        "requestTime": "2026-01-31T11:59:40.000001Z",
        "verb": "create",
        "user": "ann",
        "groups": ["devs", "system:authenticated"],
        "deprecated": False,
        "stage": "ResponseComplete",
        "code": 201,
        "allowed": True,
    }
    assert CANARY.encode() not in encode([signal])


async def test_an_impersonated_request_names_both_users() -> None:
    (data,) = await told(an_event(impersonatedUser={"username": "bob", "groups": ["ops"]}))
    assert (data["user"], data["impersonated"], data["groups"]) == ("ann", "bob", ["ops"])


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"code": 403}, False),
        ({"code": 401}, False),
        ({"code": 409}, True),
        ({"code": 500, "annotations": {"authorization.k8s.io/decision": "forbid"}}, False),
        ({"code": 200, "annotations": {}}, True),
        ({"responseStatus": None, "annotations": {}, "stage": "Panic"}, None),
    ],
)
async def test_what_was_permitted_is_said_only_where_it_is_known(
    fields: dict[str, Any], allowed: bool | None
) -> None:
    (data,) = await told(an_event(**fields))
    assert data.get("allowed") == allowed


async def test_a_deprecated_api_is_marked() -> None:
    (data,) = await told(an_event(annotations={"k8s.io/deprecated": "true"}))
    assert data["deprecated"] is True


READ: dict[str, Any] = {"code": 200}
EXEC: dict[str, Any] = {"ref": {"subresource": "exec"}, "code": 101}
KUBELET: dict[str, Any] = {"user": {"username": "system:node:n1", "groups": ["system:nodes"]}}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (an_event("update"), True),
        (an_event("deletecollection"), True),
        (an_event("patch", requestURI="/x?dryRun=All"), False),
        (an_event("patch", requestURI="/x?a=dryRun"), True),
        (an_event("get", **READ), False),
        (an_event("list", "secrets", **READ), True),
        (an_event("watch", "secrets", **READ), True),
        (an_event("get", "secrets", **READ, **KUBELET), False),
        (an_event("get", code=403), True),
        (an_event("get", "nothing", code=401, objectRef=None, user={}), True),
        (an_event("get", "pods", **EXEC), True),
        (an_event("create", "pods", **EXEC), True),
        (an_event("get", "pods", **EXEC, **KUBELET), True),
        (an_event("get", "pods", ref={"subresource": "log"}, **READ), False),
        (an_event("create", "events"), False),
        (an_event("update", "leases.coordination.k8s.io"), False),
        (an_event("create", "tokenreviews.authentication.k8s.io"), False),
        (an_event("create", "selfsubjectaccessreviews.authorization.k8s.io"), False),
        (an_event("create", "rolebindings.rbac.authorization.k8s.io"), True),
        (an_event("create", "leases.coordination.k8s.io", code=403), True),
        (an_event("update", **KUBELET), False),
        (an_event("update", code=403, **KUBELET), True),
        (an_event("get", objectRef=None, requestURI="/healthz", **READ), False),
        (an_event(stage="RequestReceived"), False),
        (an_event(stage="ResponseStarted"), False),
        (an_event(stage="Panic"), True),
    ],
)
async def test_only_requests_of_interest_are_told_of(event: Any, wanted: bool) -> None:
    assert len(await told(event)) == wanted


@pytest.mark.parametrize(
    ("option", "event"),
    [
        ({"writes": False}, an_event()),
        ({"denied": False}, an_event(code=403)),
        ({"connects": False}, an_event("get", "pods", **EXEC)),
        ({"secret_reads": False}, an_event("get", "secrets", **READ)),
        ({"ignore_users": ["a*"]}, an_event()),
        ({"ignore_resources": ["*.apps"]}, an_event()),
        ({"stages": ["Panic"]}, an_event()),
    ],
)
async def test_each_part_of_the_filter_can_be_chosen(option: dict[str, Any], event: Any) -> None:
    assert len(await told(event)) == 1
    assert await told(event, **option) == []


OURS = "system:serviceaccount:dogwatch:dogwatch-reader"


@pytest.mark.parametrize(
    ("user", "agent", "own"),
    [
        ({"user": {"username": OURS}}, "dogwatch", True),
        ({"user": {"username": OURS}}, "dogwatch/0.1 (linux)", True),
        ({"user": {"username": OURS}}, "kubectl/v1", False),
        ({"user": {"username": "ann"}}, "dogwatch", False),
        ({"impersonatedUser": {"username": OURS}}, "dogwatch", True),
        ({"user": {"username": OURS}}, "dogwatcher/1", False),
    ],
)
async def test_only_accounts_of_dogwatch_with_its_program_are_dogwatch(
    user: dict[str, Any], agent: str, own: bool
) -> None:
    (data,) = await told(an_event(userAgent=agent, **user))
    assert ("madeBy" in data) == own
    assert data.get("depth") == (1 if own else None)


async def test_a_list_sent_again_has_the_same_ids_and_another_stage_another() -> None:
    stages = ["ResponseStarted", "ResponseComplete"]
    events = [an_event(stage=one) for one in stages]
    first, again = [
        await received("audit", a_list(*events), cluster="eu", stages=stages) for _ in range(2)
    ]
    assert [one.id for one in first.signals] == [one.id for one in again.signals]
    assert len({one.id for one in first.signals}) == 2


async def test_an_entry_that_can_not_be_read_costs_only_itself_and_is_not_kept() -> None:
    bad = [an_event(auditID=7), an_event(stage="Never"), {"secret": CANARY}, CANARY, None]
    got = await received("audit", a_list(an_event(), *bad), cluster="eu")
    assert len(got.signals) == 1
    assert [(one.reason, one.raw) for one in got.refused] == [("bad-form", b"")] * 5
    assert CANARY not in str(got.refused)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(a_list(an_event())).encode()[:-9],
        f"{CANARY} is no JSON".encode(),
        json.dumps(a_list(an_event(), kind="List")).encode(),
        json.dumps(a_list(an_event(), apiVersion="audit.k8s.io/v1beta1")).encode(),
    ],
    ids=["cut", "garbage", "kind", "version"],
)
async def test_a_list_that_can_not_be_read_is_refused_and_none_of_its_bytes_kept(
    body: bytes,
) -> None:
    got = await received("audit", body, cluster="eu")
    assert got.signals == []
    ((_, detail, raw),) = got.refused
    assert raw == b""
    assert CANARY not in detail


def test_the_receiver_needs_the_name_of_the_cluster() -> None:
    with pytest.raises(ValidationError, match="needs cluster"):
        AuditReceiverConfig.model_validate({"token_file": "t"})
