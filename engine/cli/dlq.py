"""`dogwatch dlq`: deliveries that were given up."""

from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Limit, Output, print_json, print_table

app = typer.Typer(help="Deliveries that were given up.", no_args_is_help=True)
Keys = Annotated[list[str], typer.Argument(help="Keys of deliveries.", metavar="KEY...")]


@app.command("list")
def list_dead(
    limit: Limit = 50, config: ConfigFile = "dogwatch.yaml", output: Output = Form.TEXT
) -> None:
    """List the dead letters, the newest first."""
    from engine.app.look import dead_letters

    rows = dead_letters(config, limit)
    if output is Form.JSON:
        print_json(rows)
        return
    heads = ("key", "sink", "change", "title", "reason", "given_up")
    print_table(heads, ([row[h] for h in heads] for row in rows), empty="no dead letters")


@app.command()
def replay(keys: Keys, config: ConfigFile = "dogwatch.yaml") -> None:
    """Send dead letters again, with the same keys."""
    from engine.app.look import replay_dead

    typer.echo(f"{replay_dead(config, keys)} waiting again")


@app.command()
def drop(keys: Keys, config: ConfigFile = "dogwatch.yaml") -> None:
    """Forget dead letters for good."""
    from engine.app.look import drop_dead

    typer.echo(f"{drop_dead(config, keys)} dropped")
