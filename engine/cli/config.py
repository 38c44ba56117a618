"""`dogwatch config`: check and describe the configuration."""

import typer

from engine.cli.output import ConfigFile, print_json

app = typer.Typer(help="Check and describe the configuration.", no_args_is_help=True)


@app.command()
def check(config: ConfigFile = "dogwatch.yaml") -> None:
    """List every fault of the configuration at once, each with its place. Exit 2 on any.

    The policy and the key that it names are checked too.
    """
    from engine.app.checking import checked

    settings = checked(config)
    typer.echo(
        f"{config}: good; {len(settings.clusters)} clusters, {len(settings.sinks)} sinks, "
        f"{len(settings.routes)} routes"
    )


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    from engine.app.config import AppConfig

    print_json(AppConfig.model_json_schema())
