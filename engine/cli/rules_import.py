"""`dogwatch rules import`: rule files of others become ours."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.output import Form, Output

UNREADABLE = 1
INCOMPLETE = 3

app = typer.Typer(help="Translate rules of other systems.", no_args_is_help=True)


@app.callback()
def _rules_of_others() -> None:
    pass


@app.command()
def prometheus(
    file: Annotated[Path, typer.Argument(help="A Prometheus rule file.", metavar="FILE")],
    output_file: Annotated[
        Path | None, typer.Option(help="Write the rules here, not to standard output.")
    ] = None,
    nearly: Annotated[
        bool, typer.Option("--nearly", help="Also take rules whose meaning differs a little.")
    ] = False,
    output: Output = Form.TEXT,
) -> None:
    """Translate alerting rules whose meaning can be kept exactly; list the others with the reason.

    The rules go to standard output, the account to standard error. Exit 3 when some rules were
    not translated, 1 when the file cannot be read.
    """
    from engine.app.rule_import import imported_from_prometheus
    from engine.model.errors import DogwatchError
    from engine.report.clean import clean_lines
    from engine.rules.prometheus import account

    try:
        found = imported_from_prometheus(file, output_file, nearly=nearly)
    except DogwatchError as error:
        typer.echo(clean_lines(str(error), 100_000), err=True)
        raise typer.Exit(UNREADABLE) from error
    if output is Form.JSON:
        typer.echo(account.to_json(found))
    else:
        if output_file is None:
            typer.echo(found.text, nl=False)
        typer.echo(clean_lines(account.to_text(found), 100_000), err=True)
    raise typer.Exit(0 if account.complete(found) else INCOMPLETE)
