"""`dogwatch audit`: what was decided and done, and whether all of it is still there."""

from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Limit, Output, print_json, print_table

app = typer.Typer(help="What was decided and done, hash-chained.", no_args_is_help=True)
BROKEN = 1


@app.command("list")
def list_entries(
    mission: Annotated[str, typer.Option(help="Only of this mission.", metavar="ID")] = "",
    change: Annotated[str, typer.Option(help="Only of this change.", metavar="ID")] = "",
    limit: Limit = 100,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """List the newest entries, the oldest of them first."""
    from engine.app.person import looking

    with looking(config) as pages:
        found = [
            asdict(one) for one in pages.store.audit(mission=mission, change=change, limit=limit)
        ]
    if output is Form.JSON:
        print_json(found)
        return
    heads = ("seq", "at", "change", "frm", "to", "actor", "reason")
    print_table(heads, ([row[head] for head in heads] for row in found), empty="nothing yet")


@app.command()
def verify(config: ConfigFile = "dogwatch.yaml", output: Output = Form.TEXT) -> None:
    """Read the whole chain; an entry that was edited, removed or moved is found.

    Prints the hash of the last entry: who keeps that elsewhere can tell that all was written
    anew. Exit 1 when the chain is broken.
    """
    from engine.app.person import looking

    with looking(config) as pages:
        found = pages.store.verify_audit()
    if output is Form.JSON:
        print_json(asdict(found))
    elif found.fault:
        typer.echo(f"the chain is broken: {found.fault}")
    else:
        typer.echo(f"{found.count} entries, all there and unchanged; the last hash is {found.head}")
    raise typer.Exit(BROKEN if found.fault else 0)
