"""`dogwatch quarantine`: signals that could not be read."""

import typer

from engine.cli.output import ConfigFile, Form, Limit, Output, print_json, print_table

app = typer.Typer(help="Signals that could not be read.", no_args_is_help=True)


@app.command("list")
def list_quarantined(
    limit: Limit = 50,
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
