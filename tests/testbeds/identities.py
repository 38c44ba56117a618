"""The identities of dogwatch in a test cluster, made of the manifests that users apply."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.testbeds.audit import ACCOUNTS
from tests.testbeds.manifests import Manifest, path

if TYPE_CHECKING:
    from tests.testbeds.kube import Kube

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
FILES = ("reader-rbac.yaml", "writer-rbac.yaml", "admission-policy.yaml")


def account(name: str) -> str:
    """Return the user that an account of dogwatch is: `writer`, `proposer`, or a kind."""
    return f"{ACCOUNTS}dogwatch-{name}"


def manifests(file: str) -> list[Manifest]:
    """Return the objects of a file in deploy/."""
    return [each for each in yaml.safe_load_all((DEPLOY / file).read_text()) if each]


def install(kube: Kube) -> None:
    """Apply the manifests, and return when the server holds dogwatch to them."""
    for each in (each for file in FILES for each in manifests(file)):
        metadata = each["metadata"]
        where = path(each["kind"], metadata["name"], metadata.get("namespace", ""))
        kube.request(
            "PATCH",
            where,
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=each,
        )
    for words, params in (
        ("only try", {"fieldManager": "dogwatch"}),
        ("as the field manager", {"dryRun": "All", "fieldManager": "somebody"}),
    ):
        kube.until(partial(_denied, kube, words, params), f"the policy that says {words}")


def _denied(kube: Kube, words: str, params: dict[str, str]) -> bool:
    """Whether the proposer is denied an eviction of what is not there, which changes nothing."""
    pod = path("Pod", "none", "default")
    eviction = {"metadata": {"name": "none", "namespace": "default"}}
    headers = {"Impersonate-User": account("proposer")}
    told = kube.api().post(f"{pod}/eviction", params=params, headers=headers, json=eviction)
    return words in told.text


def token(kube: Kube, name: str) -> str:
    """Return a token of an account of dogwatch, as its pod would have."""
    where = f"/api/v1/namespaces/dogwatch/serviceaccounts/dogwatch-{name}/token"
    made = kube.request("POST", where, json={"spec": {"expirationSeconds": 3600}})
    return str(made["status"]["token"])
