"""`dogwatch watch` and `dogwatch doctor`: what comes of the clusters, and what is missing."""

import asyncio
import sys
from contextlib import aclosing
from typing import Annotated, Any

import typer

from engine.cli.output import ConfigFile, Form, Output, print_json, print_line, print_table

WATCHERS = (
    *("audit", "certificates", "devices", "drift", "events"),
    *("gpu", "metrics", "objects", "predictions", "versions"),
)
"""The names in watchers.registry, which is slow to import."""


def _watchers(incomplete: str) -> list[str]:
    return [name for name in WATCHERS if name.startswith(incomplete)]


Clusters = Annotated[
    list[str] | None,
    typer.Option("--cluster", help="A cluster of the configuration; default all.", metavar="NAME"),
]


def watch(
    watcher: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(WATCHERS)}.", metavar="WATCHER", autocompletion=_watchers
        ),
    ],
    once: Annotated[bool, typer.Option("--once", help="Show what there is now, and end.")] = False,
    cluster: Clusters = None,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Print what a watcher would publish; nothing is published, and nothing is stored.

    With --once it ends when the watcher has seen everything, with exit 1 where something could
    not be read, or nothing is set for it to read: why is on standard error. Without it one cluster
    is followed until Ctrl-C.
    """
    from engine.app.sources import lacks, look, watcher_named

    watcher_named(watcher)
    if not once:
        asyncio.run(_follow(watcher, cluster or [], config, output))
        return
    found = asyncio.run(look(config, cluster or [], [watcher]))
    for one in found:
        for signal in one.signals:
            _print_signal(signal, output)
    faults = [line for one in found for line in lacks(one)]
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise typer.Exit(1)


async def _follow(watcher: str, clusters: list[str], config: str, output: Form) -> None:
    from engine.app.sources import follow

    async with aclosing(follow(config, clusters, watcher)) as batches:
        async for batch in batches:
            for signal in batch:
                _print_signal(signal, output)


def _print_signal(signal: Any, output: Form) -> None:
    import msgspec

    from engine.app.signal_text import line_of

    if output is Form.JSON:
        print_line(msgspec.to_builtins(signal))
    else:
        typer.echo(line_of(signal))


def _say(progress: str) -> None:
    """Tell whoever waits at a terminal how far it is."""
    if sys.stderr.isatty():
        typer.echo(f"{progress} ...", err=True)


def doctor(
    cluster: Clusters = None,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Say for each cluster which sources work, what is missing, and what would give it.

    Every watcher that is on runs once; nothing is published. Exit 1 where something that should
    be read cannot be.
    """
    from dataclasses import asdict

    from engine.app.doctor import WIDTH, examined

    found = asyncio.run(examined(config, cluster or [], _say))
    if output is Form.JSON:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            typer.echo(one.title)
            if one.sources:
                heads = ("watcher", "source", "state", "seen", "what")
                print_table(heads, one.rows(), empty="", width=WIDTH)
            for line in one.advice():
                typer.echo(line)
            typer.echo("")
    if any(one.sick for one in found):
        raise typer.Exit(1)
