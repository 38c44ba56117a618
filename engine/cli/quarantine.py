"""`dogwatch quarantine`: signals that could not be read."""

import sys
from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Limit, Output, on_terminal, print_json, print_table

app = typer.Typer(help="Signals that could not be read.", no_args_is_help=True)
STAY = 1

Reason = Annotated[str, typer.Option(help="Only those of this reason.", metavar="REASON")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of records.", metavar="ID...")]
All = Annotated[bool, typer.Option("--all", help="All that are kept.")]


@app.command("list")
def list_quarantined(
    reason: Reason = "",
    limit: Limit = 50,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """List quarantined records with their reason, the newest first, and the counts of all."""
    from engine.app.quarantined import listed

    found = listed(config, reason, limit)
    if output is Form.JSON:
        print_json(found)
        return
    heads = ("id", "at", "partition", "offset", "reason", "detail", "bytes")
    rows = found["records"]
    print_table(heads, ([row[h] for h in heads] for row in rows), empty="nothing quarantined")
    if found["counts"]:
        typer.echo()
        sums = ("reason", "kept", "ever")
        print_table(sums, ([row[h] for h in sums] for row in found["counts"]), empty="")


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="The record's id.", metavar="ID")],  # noqa: A002 - the word of the field
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the bytes, as they came; escaped on a terminal.")
    ] = False,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Print all that is kept of a record: its bytes, its reason, and what would be allowed."""
    from engine.app.quarantined import escaped, found, shown, whole

    row = found(config, id)
    if raw and not on_terminal():
        sys.stdout.buffer.write(row.raw)
    elif raw:
        typer.echo(escaped(row.raw))
    elif output is Form.JSON:
        print_json(whole(row))
    else:
        typer.echo(shown(row))


@app.command()
def replay(
    ids: Ids = None,
    reason: Reason = "",
    all_: All = False,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Read records again: the good go onto the bus, the others stay with their new reason.

    A running dogwatch folds them at once. Exit 1 when some stay.
    """
    from engine.app.quarantined import Choice
    from engine.app.quarantined import replay as replayed

    done = replayed(config, Choice(ids or (), reason, all_))
    typer.echo(str(done))
    raise typer.Exit(STAY if done.still or done.cut else 0)


@app.command()
def drop(
    ids: Ids = None,
    reason: Reason = "",
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop more than one.")] = False,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Forget records for good; their number stays in the counts."""
    from engine.app.quarantined import Choice
    from engine.app.quarantined import drop as dropped

    typer.echo(f"{dropped(config, Choice(ids or (), reason, all_), sure=yes)} dropped")
