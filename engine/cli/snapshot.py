"""`dogwatch snapshot`: record clusters for offline missions."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.output import ConfigFile, on_terminal

app = typer.Typer(help="Record clusters for offline missions.", no_args_is_help=True)


@app.command()
def save(
    path: Annotated[
        Path, typer.Argument(help="The folder to write; it must be new or empty.", metavar="PATH")
    ],
    cluster: Annotated[
        list[str] | None,
        typer.Option(help="A cluster of the configuration; default all.", metavar="NAME"),
    ] = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Read clusters and write a snapshot; values of Secrets are replaced by digests."""
    from engine.app.one_mission import save_snapshot

    for line in save_snapshot(path, cluster or [], config, progress=on_terminal()):
        typer.echo(line)
