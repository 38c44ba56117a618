"""The rights that the manifests give are those of the table, which a person has read."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.changes.templates import TEMPLATES
from engine.missions.registry import kinds
from tests.testbeds.identities import manifests
from watchers.events import RESOURCE
from watchers.objects import RESOURCES

TABLE = Path(__file__).with_name("rights.txt")
OBJECTS = [*manifests("reader-rbac.yaml"), *manifests("writer-rbac.yaml")]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each for each in OBJECTS if each["kind"] in kinds]


def accounts() -> Iterator[str]:
    roles = defaultdict(list)
    for binding in of_kind("RoleBinding", "ClusterRoleBinding"):
        place = binding["metadata"].get("namespace")
        role = binding["roleRef"]["name"] + (f" in {place}" if place else "")
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "dogwatch")
            roles[subject["name"].removeprefix("dogwatch-")].append(role)
    for account, named in sorted(roles.items()):
        yield f"account {account}: {', '.join(sorted(named))}"


def rights(role: dict[str, Any]) -> Iterator[str]:
    for rule in role["rules"]:
        names = f" [{' '.join(sorted(rule['resourceNames']))}]" if "resourceNames" in rule else ""
        for url in rule.get("nonResourceURLs", []):
            yield f"  {url}: {' '.join(sorted(rule['verbs']))}"
        for group in rule.get("apiGroups", []):
            for resource in rule["resources"]:
                place = f"{group}/{resource}" if group else resource
                yield f"  {place}{names}: {' '.join(sorted(rule['verbs']))}"


def table() -> str:
    roles = sorted(of_kind("Role", "ClusterRole"), key=lambda role: str(role["metadata"]["name"]))
    parts = [list(accounts())]
    parts += [[f"role {role['metadata']['name']}", *sorted(rights(role))] for role in roles]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def test_the_manifests_give_the_rights_of_the_table() -> None:
    assert table() == TABLE.read_text()


def test_every_account_that_is_bound_or_named_exists() -> None:
    made = {each["metadata"]["name"] for each in of_kind("ServiceAccount")}
    bound = {
        subject["name"]
        for each in of_kind("RoleBinding", "ClusterRoleBinding")
        for subject in each["subjects"]
    }
    named = {
        name for each in of_kind("Role") for rule in each["rules"] for name in rule["resourceNames"]
    }
    assert bound == made
    assert named == made - {"dogwatch-reader", "dogwatch-writer"}


def readable() -> set[str]:
    """Return what the reader may list, as readers name it: `deployments.apps`."""
    roles = of_kind("ClusterRole")
    (role,) = [each for each in roles if each["metadata"]["name"] == "dogwatch-reader"]
    return {
        f"{resource}.{group}" if group else resource
        for rule in role["rules"]
        if "list" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_reader_may_read_what_is_watched_and_what_missions_and_changes_need() -> None:
    needed = {RESOURCE, *RESOURCES}
    needed |= {resource for kind in kinds().values() for resource in kind.needs}
    needed |= {resource for template in TEMPLATES.values() for resource in template.needs}
    assert needed <= readable()


def test_every_kind_that_changes_has_an_account_and_no_other_has() -> None:
    changing = {kind.name for kind in kinds().values() if kind.changes}
    named = {each["metadata"]["name"] for each in of_kind("ServiceAccount")}
    others = {"dogwatch-reader", "dogwatch-writer", "dogwatch-proposer"}
    assert named - others == {f"dogwatch-{kind}" for kind in changing}


def test_no_right_is_of_everything_or_of_secrets() -> None:
    text = TABLE.read_text()
    assert "*" not in text
    assert "secrets" not in text
