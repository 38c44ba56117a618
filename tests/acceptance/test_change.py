"""A bad image, a message with the diff, one click, the previous version back, and proof of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.changing import BAD, GOOD, Changing, spoil, text_of
from tests.testbeds.manifests import an_object
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

OTHER = "registry.test/web:3"


@pytest.fixture
def changing(tmp_path: Path, identities: Kube, slack_server: Receiver) -> Iterator[Changing]:
    namespace = identities.namespace("change")
    identities.audit.approve(namespace)
    with Changing(tmp_path, identities, namespace, slack_server) as running:
        yield running


def test_one_click_brings_the_previous_version_back_and_the_proof_is_told(
    changing: Changing,
) -> None:
    good = spoil(changing)
    message = changing.asked()
    said = text_of(message)
    assert GOOD in said
    assert BAD in said
    assert changing.image() == BAD, "nothing may change before somebody said so"
    answer = changing.click(message, "Approve")
    assert answer.status_code == 200, answer.text
    assert eventually(lambda: changing.image() == GOOD or None, 30), changing.tail()
    assert changing.state("verified", "rolled-back", "needs-human") == "verified"
    told = text_of(changing.told("every check held"))
    assert "the roll-out completes" in told
    assert "what was found is gone" in told
    found = changing.template()
    assert found["spec"]["containers"] == good["spec"]["containers"]
    audit = changing.command("audit", "verify")
    assert audit.returncode == 0, audit.stderr
    (mission,) = missions(changing, "done")
    report = json.loads(changing.command("mission", "show", mission, "--output", "json").stdout)
    assert report["phase"] == 2
    assert [one["state"] for one in report["applied"]] == ["verified"]
    assert report["outcome"] in {"ok", "findings", "partial"}
    late = changing.click(message, "Deny", who="bo")
    assert late.status_code == 200, late.text
    assert changing.state("verified") == "verified", "a late click decides nothing"


def test_without_a_decision_in_time_nothing_is_changed_ever(changing: Changing) -> None:
    changing.amend_policy(expiry={"disruptive": "4s"})
    spoil(changing)
    message = changing.asked()
    assert changing.state("expired") == "expired"
    changing.told("nobody decided in time")
    changing.click(message, "Approve")
    assert changing.state("expired") == "expired"
    assert changing.image() == BAD
    missions(changing, "done")


def test_another_change_in_between_makes_the_approval_void(changing: Changing) -> None:
    spoil(changing)
    message = changing.asked()
    other = {"env": [{"name": "MODE", "value": "safe"}]}
    container = {**changing.template()["spec"]["containers"][0], **other}
    body = {"template": {"spec": {"containers": [container]}}}
    changing.kube.patch("Deployment", "web", changing.namespace, spec=body)
    changing.click(message, "Approve")
    assert changing.state("superseded", "verified") == "superseded"
    assert changing.image() == BAD
    assert changing.template()["spec"]["containers"][0]["env"] == other["env"]
    changing.told("superseded")


def test_a_change_that_does_not_help_is_undone_exactly(changing: Changing) -> None:
    spoil(changing)
    message = changing.asked()
    before = changing.template()
    let_no_pod_start(changing)
    changing.click(message, "Approve")
    assert changing.state("rolled-back", "verified", "needs-human") == "rolled-back"
    assert changing.template() == before
    told = text_of(changing.told("rolled back"))
    assert "roll-out" in told.lower() or "rollout" in told.lower()
    (mission,) = missions(changing, "done")
    report = json.loads(changing.command("mission", "show", mission, "--output", "json").stdout)
    assert report["outcome"] == "unverified"


def test_where_the_roll_back_would_undo_somebody_elses_work_a_person_is_called(
    changing: Changing,
) -> None:
    spoil(changing)
    message = changing.asked()
    let_no_pod_start(changing)
    changing.click(message, "Approve")
    assert eventually(lambda: changing.image() == GOOD or None, 30), changing.tail()
    container = {**changing.template()["spec"]["containers"][0], "image": OTHER}
    body = {"template": {"spec": {"containers": [container]}}}
    changing.kube.patch("Deployment", "web", changing.namespace, spec=body)
    assert changing.state("needs-human", "rolled-back", "verified") == "needs-human"
    assert changing.image() == OTHER, "what somebody else did stays"
    told = text_of(changing.told("needs a person"))
    assert OTHER in told


def let_no_pod_start(changing: Changing) -> None:
    """Take away the pods that there are, and let none be made: no version can be well."""
    kube, namespace = changing.kube, changing.namespace
    kube.create(an_object("ResourceQuota", "none", namespace, spec={"hard": {"pods": "0"}}))
    for pod in kube.list("Pod", namespace):
        kube.delete("Pod", pod["metadata"]["name"], namespace)


def missions(changing: Changing, state: str) -> list[str]:
    """Wait until the one mission is in `state`; return its id."""

    def there() -> list[str] | None:
        listed = changing.command("mission", "list", "--output", "json")
        rows = json.loads(listed.stdout)
        return [row["id"] for row in rows if row["state"] == state] or None

    found = eventually(there, 60)
    assert found, changing.tail()
    return found
