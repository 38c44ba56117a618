"""The verbs without a noun: demo, run, replay, show."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Output, on_terminal, print_json, print_line


def demo(
    keep: Annotated[
        Path | None, typer.Option(help="Keep what the demo stored in this folder.")
    ] = None,
) -> None:
    """Show the whole path on a recorded cluster: signal, firing, mission, report, delivery."""
    from engine.app.demo import show_demo

    show_demo(keep, terminal=on_terminal())


def run(config: ConfigFile = "dogwatch.yaml") -> None:
    """Watch the clusters, evaluate the rules, run missions and deliver reports, for ever."""
    from engine.app.serve import serve

    serve(config)


def replay(
    rules: Annotated[list[Path], typer.Option(help="Rule files, or folders of them.")],
    signals: Annotated[
        str, typer.Option(help="Recorded signals, a CloudEvent or batch a line; - is stdin.")
    ],
    from_: Annotated[
        str | None, typer.Option("--from", help="Print from this instant on, RFC 3339.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Let time run on up to this instant, RFC 3339.")
    ] = None,
    diff: Annotated[
        list[Path] | None, typer.Option(help="Compare with this other rule set.")
    ] = None,
    output: Output = Form.TEXT,
) -> None:
    """Fold recorded signals and print one line for each transition, in order of time."""
    from engine.app.replaying import replayed, text_of

    lines = replayed(rules, signals, start=from_, until=until, other=diff)
    for line in lines:
        if output is Form.JSON:
            print_line(line)
        else:
            typer.echo(text_of(line))


def show(
    id: Annotated[str, typer.Argument(help="A signal, firing, mission or delivery.", metavar="ID")],  # noqa: A002 - the word of the field
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Print the whole path of anything: what caused it, and what came of it."""
    from engine.app.look import path_of, path_text

    path = path_of(config, id)
    if output is Form.JSON:
        print_json(path)
    else:
        typer.echo(path_text(path))
