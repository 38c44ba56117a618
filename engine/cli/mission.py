"""`dogwatch mission`: run missions, and look at those that ran."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import orders
from engine.cli.output import ConfigFile, Form, Limit, Output, on_terminal, print_json, print_table

if TYPE_CHECKING:
    from engine.model.report import Report

app = typer.Typer(help="Run missions, look at them, decide about them.", no_args_is_help=True)
FAILED = 1
TOO_SEVERE = 3


class ReportForm(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


ReportOutput = Annotated[
    ReportForm, typer.Option("--output", "-o", help="How to print the report.")
]


class Mode(StrEnum):
    """What a queued mission may do."""

    REPORT = "report"
    PLAN = "plan"
    APPLY = "apply"


class Level(StrEnum):
    """A severity to fail on."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


@app.command()
def run(
    kind: Annotated[str, typer.Argument(help="See `dogwatch mission kinds`.", metavar="KIND")],
    snapshot: Annotated[
        Path | None,
        typer.Option(help="A folder or file of manifests, or a saved snapshot.", metavar="PATH"),
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(help="A cluster of the configuration to read now.", metavar="NAME"),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="A parameter of the kind.", metavar="NAME=VALUE"),
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="The instant to assess, RFC 3339.", metavar="TIME")
    ] = None,
    fail_on: Annotated[
        Level | None, typer.Option(help="Exit 3 on a finding at or above this severity.")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to the running dogwatch; print its id.")
    ] = False,
    mode: Annotated[
        Mode, typer.Option(help="With --queue: report, plan changes, or ask to apply them.")
    ] = Mode.REPORT,
    token_file: orders.TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
    output: ReportOutput = ReportForm.TEXT,
) -> None:
    """Run one mission on a recorded snapshot or on live clusters, and print its report.

    With --queue the running dogwatch does it, in your name, and may propose changes.
    Exit 0 assessed or queued, 1 failed, 3 findings at or above --fail-on.
    """
    from engine.app.one_mission import params_of
    from engine.model.errors import DogwatchError
    from engine.model.report import Outcome, Severity

    params = params_of(param or [])
    if queue:
        if snapshot is not None or now is not None or not cluster:
            raise DogwatchError("--queue goes with --cluster NAME, which is read live")
        typer.echo(orders.queued(kind, params, cluster, mode.value, (config, token_file)))
        return
    if mode is not Mode.REPORT:
        raise DogwatchError(f"--mode {mode} goes with --queue: here nothing is ever changed")
    report = _run_here(kind, params, (snapshot, now), (cluster or [], config))
    _print_report(report, output)
    if report.outcome is Outcome.FAILED:
        raise typer.Exit(FAILED)
    severe = fail_on and any(
        f.severity.rank <= Severity(fail_on.value).rank and f.status == "fail"
        for f in report.findings
    )
    raise typer.Exit(TOO_SEVERE if severe else 0)


def _run_here(
    kind: str,
    params: dict[str, str],
    recorded: tuple[Path | None, str | None],
    live: tuple[list[str], str],
) -> "Report":
    """Run on what was `recorded` (path, instant), or on the clusters of a configuration."""
    from engine.app.one_mission import run_live, run_recorded
    from engine.model.errors import DogwatchError

    (snapshot, now), (clusters, config) = recorded, live
    if snapshot is not None and clusters:
        raise DogwatchError("give --snapshot or --cluster, not both")
    if snapshot is not None:
        return run_recorded(kind, snapshot, params, now)
    if not clusters:
        raise DogwatchError("say what to read: --snapshot PATH, or --cluster NAME")
    if now is not None:
        raise DogwatchError("--now goes with --snapshot: a live cluster is read now")
    return run_live(kind, clusters, params, config, progress=on_terminal())


def _print_report(report: "Report", output: ReportForm) -> None:
    from engine.app.one_mission import rendered

    typer.echo(rendered(report, output.value, colour=on_terminal()))


@app.command("list")
def list_missions(
    kind: Annotated[str | None, typer.Option(help="Only this kind.", metavar="KIND")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only of this state: queued, running, waiting, done, failed, cancelled.",
            metavar="STATE",
        ),
    ] = None,
    limit: Limit = 50,
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """List missions, the newest first."""
    from engine.app.look import missions

    rows = missions(config, kind=kind, state=state, limit=limit)
    if output is Form.JSON:
        print_json(rows)
        return
    heads = ("id", "kind", "state", "outcome", "rule", "created", "summary")
    print_table(heads, ([row[h] for h in heads] for row in rows), empty="no missions yet")


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="The mission's id.", metavar="ID")],  # noqa: A002 - the word of the field
    config: ConfigFile = "dogwatch.yaml",
    output: ReportOutput = ReportForm.TEXT,
) -> None:
    """Print the report of a mission, or its state while there is none; its changes below it."""
    from engine.app.change_text import changes_text
    from engine.app.look import mission_report
    from engine.app.person import changes_of, looking

    typer.echo(mission_report(config, id, output.value, colour=on_terminal()))
    if output is ReportForm.TEXT:
        with looking(config) as pages:
            told = changes_text(changes_of(pages, id))
        if told:
            typer.echo(f"\n{told}")


@app.command()
def kinds(output: Output = Form.TEXT) -> None:
    """List the mission kinds with what they read and their parameters."""
    from engine.app.look import mission_kinds

    rows = mission_kinds()
    if output is Form.JSON:
        print_json(rows)
        return
    heads = ("kind", "type", "params", "reads")
    print_table(
        heads,
        ((r["kind"], r["type"], ", ".join(r["params"]), ", ".join(r["reads"])) for r in rows),
        empty="none",
    )


for verb in (orders.approve, orders.reject, orders.resume, orders.cancel, orders.watch):
    app.command()(verb)
