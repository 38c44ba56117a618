"""`dogwatch rules`: check, test, explain and import rule files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import rules_import
from engine.cli.output import ConfigFile, Form, Output, print_json

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
            count = "no rule is loaded" if errors else f"{len(loaded.rules.rules)} rules"
            typer.echo(f"{count}, {errors} errors, {len(found) - errors} warnings", err=True)
    bad = found if strict else [fault for fault in found if fault.severity == "error"]
    raise typer.Exit(1 if bad else 0)


@app.command()
def test(
    paths: Paths,
    only: Annotated[
        str, typer.Option("--only", "-k", help="Only tests whose 'rule: name' holds this text.")
    ] = "",
    junit: Annotated[
        Path | None, typer.Option(help="Also write the results as JUnit's XML.", metavar="FILE")
    ] = None,
    output: Output = Form.TEXT,
) -> None:
    """Run the tests of the rules on a virtual clock.

    Exit 1 when one fails, 2 when rules or an option were refused.
    """
    from engine.app.rule_files import load_paths, write_text
    from engine.stream import selftest, verdicts

    results = selftest.run(load_paths(paths), only)
    if only and not results:
        raise typer.BadParameter(f"no test's 'rule: name' holds '{only}'", param_hint="-k")
    if junit is not None:
        write_text(junit, verdicts.to_junit(results))
    if output is Form.JSON:
        print_json([verdicts.to_json(result) for result in results])
    else:
        typer.echo(verdicts.to_text(results))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def _rule_names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete names of rules, of --rules or of the folder `rules`."""
    from engine.app.rule_files import check_paths
    from engine.model.errors import DogwatchError

    try:
        found = check_paths(context.params.get("rules") or [Path("rules")])
    except DogwatchError:
        return []
    return [one.name for one in found.rules.rules if one.name.startswith(incomplete)]


@app.command()
def explain(
    rule: Annotated[
        str, typer.Argument(help="Name of the rule.", metavar="RULE", autocompletion=_rule_names)
    ],
    key: Annotated[
        str,
        typer.Argument(
            help="Group key or a part of it: namespace=shop,workload=web.", metavar="KEY"
        ),
    ] = "",
    at: Annotated[
        str | None, typer.Option(help="Look at this instant of a replay, RFC 3339.", metavar="TIME")
    ] = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option(help="Rule files, or folders of them.", metavar="PATH"),
    ] = None,
    signals: Annotated[
        str | None,
        typer.Option(help="Explain a replay of these recorded signals.", metavar="FILE"),
    ] = None,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Say why a key of a rule is in its state, gate by gate.

    With --signals on a replay, else live by the last checkpoint of the engine, which
    --config finds. Exit 0 whatever the state is, 2 when something was refused.
    """
    from engine.app.explaining import explained_live, explained_replay
    from engine.report.clean import clean_lines
    from engine.stream.explain import to_json, to_text

    if signals is not None:
        paths = rules or [Path("rules")]
        found = explained_replay(rule, key, rules=paths, signals=signals, at=at)
    else:
        found = explained_live(rule, key, rules=rules or [], config=config, at=at)
    if output is Form.JSON:
        print_json(to_json(found))
    else:
        typer.echo(clean_lines(to_text(found), 100_000))


@app.command()
def schema() -> None:
    """Print the JSON schema of rule files, for editors."""
    from engine.rules.json_schema import json_schema

    print_json(json_schema())
