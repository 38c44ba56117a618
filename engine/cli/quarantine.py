"""`dogwatch quarantine`: signals that could not be read."""

from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Output, print_json, print_table

app = typer.Typer(help="Signals that could not be read.", no_args_is_help=True)


@app.command("list")
def list_quarantined(
    limit: Annotated[int, typer.Option(min=1)] = 50,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """List quarantined records with their reason, the newest first."""
    from engine.app.look import quarantined

    rows = quarantined(config, limit)
    if output is Form.JSON:
        print_json(rows)
        return
    heads = ("at", "offset", "reason", "detail", "bytes")
    print_table(heads, ([row[h] for h in heads] for row in rows), empty="nothing quarantined")
