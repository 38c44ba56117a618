"""The page of watchers is that of today, and the shipped rights are those that they need."""

from typing import Any

from tests.testbeds.identities import manifests
from tests.watchers.page import PAGE, page
from watchers.registry import Source, kinds


def test_the_page_of_watchers_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.watchers.page"


def granted(file: str) -> list[dict[str, Any]]:
    roles = [each for each in manifests(file) if each["kind"] == "ClusterRole"]
    return [rule for role in roles for rule in role["rules"]]


def allows(rules: list[dict[str, Any]], source: Source, verb: str) -> bool:
    plural, _, group = source.name.partition(".")
    return any(
        verb in rule["verbs"]
        and (
            source.name in rule.get("nonResourceURLs", [])
            or (group in rule.get("apiGroups", []) and plural in rule.get("resources", []))
        )
        for rule in rules
    )


def test_what_runs_by_itself_may_read_all_that_it_wants_with_the_shipped_rights() -> None:
    rules = granted("reader-rbac.yaml")
    lacking = {
        f"{verb} {source.name}"
        for kind in kinds().values()
        if kind.default
        for source in kind.sources
        for verb in source.verbs
        if not source.setting and not allows(rules, source, verb)
    }
    assert lacking == set()


def test_what_must_be_turned_on_may_read_secrets_with_rights_of_its_own() -> None:
    rules = [*granted("reader-rbac.yaml"), *granted("reader-secrets-rbac.yaml")]
    lacking = {
        f"{verb} {source.name}"
        for kind in kinds().values()
        for source in kind.sources
        for verb in source.verbs
        if not allows(rules, source, verb)
    }
    assert lacking == set()
