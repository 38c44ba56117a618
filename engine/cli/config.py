"""`dogwatch config`: check and describe the configuration."""

import typer

from engine.cli.output import ConfigFile, print_json

_ALWAYS = {"cluster", "sink", "route"}
app = typer.Typer(help="Check and describe the configuration.", no_args_is_help=True)


@app.command()
def check(config: ConfigFile = "dogwatch.yaml") -> None:
    """List every fault of the configuration at once, each with its place. Exit 2 on any.

    The policy and the key that it names are checked too.
    """
    from engine.app.checking import checked

    settings = checked(config)
    blocks = {
        "cluster": settings.clusters,
        "source of clusters": settings.discover,
        "sink": settings.sinks,
        "route": settings.routes,
        "receiver": settings.receivers,
    }
    counts = [
        _count(len(block), name) for name, block in blocks.items() if block or name in _ALWAYS
    ]
    typer.echo(f"{config}: good; {', '.join(counts)}")


def _count(many: int, name: str) -> str:
    head, of, rest = name.partition(" of ")
    return f"{many} {head}{'' if many == 1 else 's'}{of}{rest}"


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration: every field, with its meaning and default."""
    from engine.app.config_schema import schema as whole

    print_json(whole())
