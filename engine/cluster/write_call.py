"""What is sent for an operation: one request, exact about the object that it is meant for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from engine.cluster.clean import DIGEST
from engine.cluster.client import Call
from engine.model.change import Operation, Target, Verb
from engine.model.errors import ClusterError

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"

# verb -> verb and subresource that the server asks the identity's rights for
_RIGHTS = {
    Verb.PATCH: ("patch", ""),
    Verb.SCALE: ("patch", "scale"),
    Verb.APPLY: ("patch", ""),
    Verb.EVICT: ("create", "eviction"),
    Verb.DELETE: ("delete", ""),
}

Options = Mapping[str, str]


def write_call(operation: Operation, version: str, options: Options) -> Call:
    """Return the request that does `operation`.

    Args:
        operation: what is to be done; an `apply` without a uid makes a new object.
        version: resourceVersion that the object must have; empty for a new one.
        options: the query: fieldManager, fieldValidation, timeout, dryRun.

    Raises:
        ClusterError: `invalid`, it would hit whatever object is there, or write a digest in
            the place of the value that it was made of.
    """
    if DIGEST.encode() in msgspec.json.encode(operation.patch):
        raise ClusterError("invalid", "the digest of a value is not written in its place")
    known = bool(operation.target.uid), bool(version)
    making = operation.verb is Verb.APPLY and known == (False, False)
    if making:
        return _make(operation, options)
    if not all(known):
        raise ClusterError("invalid", "a write without uid and resourceVersion is not sent")
    exactly = {"uid": operation.target.uid, "resourceVersion": version}
    match operation.verb:
        case Verb.EVICT | Verb.DELETE:
            return _removal(operation, exactly, options)
        case Verb.PATCH | Verb.SCALE | Verb.APPLY:
            return _patch(operation, exactly, options)


def review(operation: Operation) -> Call:
    """Return the request that asks whether the identity may do `operation`."""
    target = operation.target
    plural, _, group = target.resource.partition(".")
    verb, subresource = _RIGHTS[operation.verb]
    making = operation.verb is Verb.APPLY and not target.uid
    wanted = {
        "verb": "create" if making else verb,
        "group": group,
        "version": target.api_version.rpartition("/")[2],
        "resource": plural,
        "subresource": subresource,
        "namespace": target.namespace,
        "name": "" if making else target.name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    return Call(_REVIEWS, method="POST", body=body)


def path_of(target: Target) -> str:
    """Return the path of the target on its server."""
    return object_path(target.api_version, target.resource, target.namespace, target.name)


def object_path(api_version: str, resource: str, namespace: str, name: str) -> str:
    """Return the path of one object; `resource` is `deployments.apps`."""
    place = ["apis" if "/" in api_version else "api", *api_version.split("/")]
    if namespace:
        place += ["namespaces", namespace]
    parts = [*place, resource.partition(".")[0], name]
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _patch(operation: Operation, exactly: dict[str, str], options: Options) -> Call:
    path, patch = path_of(operation.target), operation.patch
    if operation.verb is Verb.SCALE:
        return Call(f"{path}/scale", options, "PATCH", _with(patch, exactly), _MERGE)
    if operation.verb is Verb.APPLY:
        applied = _with(patch, {**_named(operation.target), **exactly})
        return Call(path, {**options, "force": "false"}, "PATCH", applied, _APPLY)
    return Call(path, options, "PATCH", _with(patch, exactly), _MERGE)


def _make(operation: Operation, options: Options) -> Call:
    """Server-side apply could not be kept from taking over an object that is there by now."""
    path = path_of(operation.target).rpartition("/")[0]
    return Call(path, options, "POST", _with(operation.patch, _named(operation.target)))


def _removal(operation: Operation, exactly: dict[str, str], options: Options) -> Call:
    path = path_of(operation.target)
    if operation.verb is Verb.EVICT:
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": _named(operation.target),
            "deleteOptions": {"preconditions": exactly},
        }
        return Call(f"{path}/eviction", options, "POST", eviction)
    # The server looks at the options in the body, and then at none in the query.
    dry_run = {"dryRun": ["All"]} if "dryRun" in options else {}
    body = {"preconditions": exactly, "propagationPolicy": "Background", **dry_run}
    return Call(path, options, "DELETE", body)


def _with(patch: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    return {**patch, "metadata": {**patch.get("metadata", {}), **metadata}}


def _named(target: Target) -> dict[str, str]:
    namespace = {"namespace": target.namespace} if target.namespace else {}
    return {"name": target.name, **namespace}
