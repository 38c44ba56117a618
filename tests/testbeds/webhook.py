"""Admission webhooks of a test: an HTTPS server of its own, asked about one namespace only."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.testbeds.manifests import Manifest, an_object, path
from tests.testbeds.receiver import Answer, Receiver, Request, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.testbeds.kube import Kube

NAME = "judge.dogwatch.test"
_RULE = {
    "apiGroups": ["", "apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE", "DELETE"],
    "resources": ["configmaps", "pods/eviction", "deployments", "deployments/scale"],
    "scope": "Namespaced",
}


class Webhook:
    """One webhook as it is registered; it allows everything until told otherwise."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def asked(self, user: str) -> list[Manifest]:
        """Return the requests of that user that it was asked about, in order."""
        asked = [json.loads(each.body)["request"] for each in self._receiver.requests]
        return [each for each in asked if each["userInfo"]["username"] == user]

    def answers(self, otherwise: Callable[[Request], Answer]) -> None:
        """Answer from now on like this: `allow`, or what the functions below return."""
        self._receiver.otherwise = otherwise

    def goes_down(self) -> None:
        """Take no connection any more."""
        self._receiver.close()


@contextmanager
def webhook(kube: Kube, namespace: str, *, mutating: bool = False, **how: Any) -> Iterator[Webhook]:
    """Register a webhook for what tests change in a namespace, then unregister it.

    Args:
        kube: the cluster.
        namespace: the only one that it is asked about.
        mutating: may change what it is asked about.
        how: further fields of its registration: timeoutSeconds, failurePolicy, sideEffects.
    """
    kind = f"{'Mutating' if mutating else 'Validating'}WebhookConfiguration"
    receiver = Receiver(allow, kube.site.authority.server_context("webhook"))
    name = f"{namespace}-{secrets.token_hex(4)}"
    kube.create(an_object(kind, name, webhooks=[_registration(kube, namespace, receiver, how)]))
    try:
        kube.until(lambda: _is_asked(kube, namespace, receiver), "the webhook is asked")
        yield Webhook(receiver)
    finally:
        kube.delete(kind, name)
        receiver.close()


def allow(request: Request) -> Answer:
    return _judged(request, {"allowed": True})


def deny(message: str, code: int = 403) -> Callable[[Request], Answer]:
    status = {"code": code, "message": message}
    return lambda request: _judged(request, {"allowed": False, "status": status})


def patch(*operations: Manifest) -> Callable[[Request], Answer]:
    """Return answers that change what comes by a JSON patch."""
    coded = base64.b64encode(json.dumps(operations).encode()).decode()
    made = {"allowed": True, "patchType": "JSONPatch", "patch": coded}
    return lambda request: _judged(request, made)


def to(
    account: str, judge: Callable[[Request], Answer], *, dry_run: bool | None = None
) -> Callable[[Request], Answer]:
    """Return answers as `judge` gives them to users whose name begins so; all else is allowed.

    `dry_run`: to their dry runs, or their writes, only; None: to both.
    """

    def answer(request: Request) -> Answer:
        asked = request.json()["request"]
        theirs = asked["userInfo"]["username"].startswith(account)
        meant = theirs and dry_run in {None, asked["dryRun"]}
        return (judge if meant else allow)(request)

    return answer


def hang(_request: Request) -> Answer:
    return Answer(hang=True)


def _judged(request: Request, response: Manifest) -> Answer:
    review = request.json()
    uid = review["request"]["uid"]
    return json_answer({**review, "response": {"uid": uid, **response}})


def _registration(kube: Kube, namespace: str, receiver: Receiver, how: Manifest) -> Manifest:
    authority = base64.b64encode(kube.ca.read_bytes()).decode()
    return {
        "name": NAME,
        "clientConfig": {"url": f"{receiver.url}/", "caBundle": authority},
        "rules": [_RULE],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
        **how,
    }


def _is_asked(kube: Kube, namespace: str, receiver: Receiver) -> bool:
    """Try to make a config map until the webhook hears of it; make none."""
    probe = an_object("ConfigMap", "probe", namespace)
    where = path("ConfigMap", namespace=namespace)
    told = kube.api().post(where, params={"dryRun": "All"}, json=probe)
    return bool(receiver.requests) or NAME in told.text
