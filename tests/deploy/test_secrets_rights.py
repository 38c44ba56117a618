"""The manifest that lets dogwatch read Secrets lets it do that, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testbeds.identities import account, manifests
from tests.testbeds.manifests import path

if TYPE_CHECKING:
    from tests.testbeds.kube import Kube

FILE = "reader-secrets-rbac.yaml"


def test_it_gives_the_reader_the_reading_of_secrets_only() -> None:
    role, binding = manifests(FILE)
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [each["name"] for each in binding["subjects"]] == ["dogwatch-reader"]


@pytest.mark.real
def test_a_real_server_lets_the_reader_read_secrets_with_it_only(identities: Kube) -> None:
    reader, kube = account("reader"), identities

    def allowed(verb: str) -> bool:
        wanted = {"resource": "secrets", "verb": verb}
        review = {"spec": {"user": reader, "resourceAttributes": wanted}}
        where = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(kube.request("POST", where, json=review)["status"]["allowed"])

    assert not allowed("list")
    made = kube.create(*manifests(FILE))
    try:
        kube.until(lambda: allowed("list"), "the right to list Secrets")
        assert not [verb for verb in ("create", "update", "patch", "delete") if allowed(verb)]
    finally:
        for each in made:
            kube.api().delete(path(each["kind"], each["metadata"]["name"]))
    kube.until(lambda: not allowed("list"), "the end of that right")
