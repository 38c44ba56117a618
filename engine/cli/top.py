"""The verbs without a noun: demo, run, replay, show."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Output, on_terminal, print_json, print_line


def demo(
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep what the demo stored in this new folder.", metavar="PATH"),
    ] = None,
) -> None:
    """Show the whole path on a recorded cluster: signal, firing, mission, report, delivery."""
    from engine.app.demo import show_demo

    show_demo(keep, terminal=on_terminal())


class RoleName(StrEnum):
    """The values of engine.app.roles.Role, which is slow to import."""

    WATCHER = "watcher"
    WORKER = "worker"
    RUNNER = "runner"
    WEB = "web"
    WRITER = "writer"
    NODE = "node"


def run(
    config: ConfigFile = "dogwatch.yaml",
    role: Annotated[
        list[RoleName] | None,
        typer.Option(
            help="Do only this part, and leave the others to other processes; may be given "
            "more than once. Watcher, worker, runner and web then need bus.kafka and a PostgreSQL "
            "as store.",
        ),
    ] = None,
) -> None:
    """Watch the clusters, evaluate the rules, run missions and deliver reports, for ever.

    Roles: watcher (clusters onto the bus), worker (the bus into firings), runner (missions and
    sinks), web (signals and decisions by HTTP). Without --role this process does all of these.
    The writer, which alone changes clusters, is always a process of its own: --role writer; so is
    the agent of a node, which reports its devices: --role node.
    """
    from engine.app.roles import Role
    from engine.app.serve import serve

    serve(config, [Role(one) for one in role or ()])


def replay(
    rules: Annotated[
        list[Path], typer.Option(help="Rule files, or folders of them.", metavar="PATH")
    ],
    signals: Annotated[
        str,
        typer.Option(
            help="Recorded signals, a CloudEvent or batch a line; - is stdin.", metavar="FILE"
        ),
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Print from this instant on, RFC 3339.", metavar="TIME"),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="Let time run on up to this instant, RFC 3339.", metavar="TIME"),
    ] = None,
    diff: Annotated[
        list[Path] | None,
        typer.Option(help="Print only how this other rule set differs.", metavar="PATH"),
    ] = None,
    output: Output = Form.TEXT,
) -> None:
    """Fold recorded signals and print one line for each transition, in order of time.

    With --diff only the lines that differ: - of --rules, + of the other rule set. Exit 0 when it
    was replayed, whatever was found; 2 when rules, signals or an option were refused.
    """
    from engine.app.replaying import replayed, text_of
    from engine.stream.replay import Summary

    summary, found = Summary(), False
    for line in replayed(rules, signals, start=from_, until=until, other=diff):
        found = True
        if diff:
            summary.take(line)
        if output is Form.JSON:
            print_line(line)
        else:
            typer.echo(text_of(line))
    if diff:
        typer.echo(str(summary), err=True)
    elif not found:
        typer.echo("no rule changed its state", err=True)


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
