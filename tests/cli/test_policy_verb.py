"""`dogwatch policy`: what it prints, and with which code it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.policy import app
from engine.model.errors import DogwatchError
from tests.readme import ROOT

EXAMPLE = ROOT / "deploy" / "policy.yaml"


def ran(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, DogwatchError):
        return 2, str(result.exception)
    return result.exit_code, result.stdout


def test_the_example_of_deploy_is_good() -> None:
    code, text = ran("check", str(EXAMPLE))
    assert (code, text) == (
        0,
        f"{EXAMPLE}: good; 2 users, 1 groups, 2 approvers, 0 automatic approvals\n",
    )
    assert ran("check", str(EXAMPLE), "--output", "json") == (0, "[]\n")


def test_faults_are_listed_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(EXAMPLE.read_text().replace("groups: [sre]", "groups: [sri]"))
    code, text = ran("check", str(path))
    lines = text.splitlines()
    assert (code, len(lines)) == (1, 2)
    assert all("unknown group 'sri'; known: sre; did you mean 'sre'?" in line for line in lines)
    code, text = ran("check", str(path), "-o", "json")
    found = json.loads(text)
    assert (code, [one["line"] for one in found]) == (
        1,
        [int(line.split(":")[1]) for line in lines],
    )


def test_the_names_of_clusters_are_checked_with_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("clusters: [{name: prod}]\n")
    path = tmp_path / "p.yaml"
    path.write_text(EXAMPLE.read_text().replace('clusters: ["*"]', "clusters: [prdo]"))
    assert ran("check", str(path))[0] == 0
    code, text = ran("check", str(path), "--config", str(config))
    assert (code, "unknown cluster 'prdo'; known: prod; did you mean 'prod'?" in text) == (1, True)


def test_a_file_that_is_not_there_is_one_line() -> None:
    assert ran("check", "none.yaml") == (2, "none.yaml: No such file or directory")


def test_the_schema_names_every_block() -> None:
    code, text = ran("schema")
    properties = json.loads(text)["properties"]
    assert code == 0
    assert {"users", "approvers", "intervals", "budgets"} <= properties.keys()
    assert properties["intervals"]["additionalProperties"]["properties"]["weekdays"]


@pytest.mark.parametrize(
    ("at", "closed"),
    [
        ("2026-12-01T12:00:00Z", ""),
        ("2026-12-04T12:00:00Z", "outside of the window office-hours, until 2026-12-07T08:00:00Z"),
        ("2026-12-24T12:00:00Z", "no changes at the end of the year, until 2026-12-31T23:00:00Z"),
    ],
)
def test_who_may_approve_is_said_for_people(at: str, closed: str) -> None:
    place = ("--cluster", "prod", "--namespace", "shop", "--risk", "destructive")
    code, text = ran("who", *place, "--policy", str(EXAMPLE), "--at", at)
    lines = text.splitlines()
    assert code == 0
    assert lines[:3] == [
        "2 distinct persons of sre, each typing the name of the object",
        "  ada, by email, slack",
        "  bo, by email",
    ]
    assert closed in "".join(lines[3:])
    assert len(lines) == (4 if closed else 3)


def test_who_may_approve_is_said_for_machines() -> None:
    place = ("--cluster", "prod", "--namespace", "kube-system", "--risk", "safe")
    code, text = ran("who", *place, "--policy", str(EXAMPLE), "-o", "json")
    found = json.loads(text)
    assert (code, found["never"]) == (0, "namespace kube-system is protected")
