"""`dogwatch rules`: check, test, explain and import rule files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import rules_import
from engine.cli.output import Form, Output, print_json

app = typer.Typer(help="Check, test and describe rule files.", no_args_is_help=True)
app.add_typer(rules_import.app, name="import")
Paths = Annotated[
    list[Path], typer.Argument(help="Rule files, or folders of them.", metavar="PATH")
]


class CheckForm(StrEnum):
    """How `rules check` prints its faults."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


@app.command()
def check(
    paths: Paths,
    output: Annotated[
        CheckForm, typer.Option("--output", "-o", help="How to print the faults.")
    ] = CheckForm.TEXT,
    strict: Annotated[bool, typer.Option(help="Exit 1 on warnings too.")] = False,
) -> None:
    """List every fault of the rule files at once, each file:line:col. Exit 1 on errors."""
    from engine.app.rule_files import check_paths
    from engine.rules import faults as forms

    loaded = check_paths(paths)
    found = loaded.faults
    match output:
        case CheckForm.JSON:
            typer.echo(forms.to_json(found))
        case CheckForm.SARIF:
            typer.echo(forms.to_sarif(found))
        case CheckForm.TEXT:
            if found:
                typer.echo(forms.to_text(found))
            errors = sum(fault.severity == "error" for fault in found)
            typer.echo(
                f"{len(loaded.rules.rules)} rules, {errors} errors, {len(found) - errors} warnings",
                err=True,
            )
    bad = found if strict else [fault for fault in found if fault.severity == "error"]
    raise typer.Exit(1 if bad else 0)


@app.command()
def test(paths: Paths, output: Output = Form.TEXT) -> None:
    """Run the `tests:` blocks of the rules on a virtual clock. Exit 1 when one fails."""
    from engine.app.rule_files import load_paths
    from engine.stream import selftest

    results = selftest.run(load_paths(paths))
    if output is Form.JSON:
        print_json([selftest.to_json(result) for result in results])
    else:
        typer.echo(selftest.to_text(results))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


@app.command()
def schema() -> None:
    """Print the JSON schema of rule files, for editors."""
    from engine.rules.json_schema import json_schema

    print_json(json_schema())
