"""The command `dogwatch`: thin verbs over engine.app."""

import os
import sys
from typing import Annotated

import typer

from engine.app.collector import collect_rarely
from engine.cli import (
    audit,
    config,
    devices,
    dlq,
    freeze,
    mission,
    policy,
    quarantine,
    rules,
    snapshot,
    sources,
    top,
)
from engine.model.errors import DogwatchError

TROUBLE = 2
INTERRUPTED = 130
DEBUG = "DOGWATCH_DEBUG"
SHOWN = 100_000
"""Characters of an error that are shown: a list of faults may be long."""

app = typer.Typer(
    name="dogwatch",
    help="React to cluster signals with missions that really run, and prove it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    top.demo,
    top.run,
    top.replay,
    top.show,
    sources.watch,
    sources.doctor,
    devices.clusters,
    freeze.freeze,
    freeze.thaw,
    freeze.freezes,
):
    app.command()(verb)
for noun, group in {
    "rules": rules.app,
    "mission": mission.app,
    "snapshot": snapshot.app,
    "dlq": dlq.app,
    "quarantine": quarantine.app,
    "config": config.app,
    "devices": devices.app,
    "policy": policy.app,
    "audit": audit.app,
}.items():
    app.add_typer(group, name=noun)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dogwatch {version('dogwatch')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the first error within `group`: its tasks ended for that one."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    """Run the command line: errors are one clear line on standard error and an exit code."""
    collect_rarely()
    try:
        try:
            app()
        except BaseExceptionGroup as group:
            raise _first(group) from group
    except DogwatchError as error:
        from engine.report.clean import clean_lines

        typer.echo(f"dogwatch: {clean_lines(str(error), SHOWN)}", err=True)
        sys.exit(TROUBLE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe went away (head, less): nothing is wrong, and nothing more is said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(
            f"dogwatch: a fault of its own: {type(error).__name__}: {error}; {DEBUG}=1 shows where",
            err=True,
        )
        sys.exit(TROUBLE)
