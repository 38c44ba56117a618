"""`dogwatch mission approve|reject|resume|cancel|watch`: what a person says to a mission."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.cli.output import ConfigFile, Form, Output, on_terminal, print_line
from engine.model.change_row import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.app.person import Person
    from engine.web.views import ChangeView, MissionLine

VIA = "cli"
NOT_GOOD = 1
EVERY_S = 1.0

Id = Annotated[str, typer.Argument(help="The mission's id, or that of a change.", metavar="ID")]
Change = Annotated[
    str, typer.Option(help="Which change, as `mission show` counts them.", metavar="N")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask once more.")]
Comment = Annotated[str, typer.Option(help="Why; it is kept in the audit.", metavar="TEXT")]
TokenFile = Annotated[
    str | None,
    typer.Option(
        help="A file whose first line is your token; else it is taken from DOGWATCH_TOKEN.",
        metavar="FILE",
    ),
]


def approve(
    id: Id,  # noqa: A002 - the word of the field
    change: Change = "",
    typed: Annotated[
        str, typer.Option(help="The name of the object, where it has to be typed.", metavar="NAME")
    ] = "",
    yes: Yes = False,
    comment: Comment = "",
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Show a change, and approve exactly what was shown."""
    from engine.app.person import identified
    from engine.model.errors import Refused

    with identified(config, token_file) as person:
        view = _shown(person, id, change)
        if view.asking is not None and view.asking.no_approval:
            raise Refused(view.asking.no_approval)
        name = view.asking.typed if view.asking is not None else ""
        if name and not typed:
            typed = typer.prompt(f"This is {view.risk}. To approve, type '{name}'")
        if not yes:
            typer.confirm("Approve?", abort=True)
        _decide(person, view, Verdict.APPROVE, typed=typed, comment=comment)


def reject(
    id: Id,  # noqa: A002 - the word of the field
    change: Change = "",
    yes: Yes = False,
    comment: Comment = "",
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Show a change, and deny it."""
    from engine.app.person import identified
    from engine.model.errors import Refused

    with identified(config, token_file) as person:
        view = _shown(person, id, change)
        if view.asking is not None and view.asking.no_denial:
            raise Refused(view.asking.no_denial)
        if not yes:
            typer.confirm("Deny?", abort=True)
        _decide(person, view, Verdict.DENY, typed="", comment=comment)


def cancel(
    id: Annotated[str, typer.Argument(help="The mission's id.", metavar="ID")],  # noqa: A002 - the word of the field
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """End a mission; its changes are withdrawn unless one is being made right now."""
    _order(config, token_file, lambda person: person.orders.cancel(person.user, id))


def resume(
    id: Annotated[str, typer.Argument(help="The mission's id.", metavar="ID")],  # noqa: A002 - the word of the field
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Run a failed mission again."""
    _order(config, token_file, lambda person: person.orders.resume(person.user, id))


def watch(
    id: Annotated[str, typer.Argument(help="The mission's id.", metavar="ID")],  # noqa: A002 - the word of the field
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Follow a mission until it ends, a line whenever something changes.

    Exit 0 when it is done and whatever it changed is verified, else 1.
    """
    import threading

    from engine.app.progress import progress_text, watched
    from engine.model.mission import MissionState
    from engine.model.report import Outcome
    from engine.report.clean import clean

    pause = threading.Event()
    last: dict[str, object] = {}
    for last in watched(config, id, lambda: pause.wait(EVERY_S)):
        if output is Form.JSON:
            print_line(last)
        else:
            typer.echo(clean(progress_text(last)))
    good = last["state"] == MissionState.DONE and last["outcome"] != Outcome.UNVERIFIED
    raise typer.Exit(0 if good else NOT_GOOD)


def queued(
    kind: str,
    params: Mapping[str, str],
    clusters: Sequence[str],
    mode: Literal["report", "plan", "apply"],
    known: tuple[str, str | None],
) -> str:
    """Queue a mission in the name of the person; return a line that says so.

    `known` is the configuration and the file of the token.
    """
    from engine.app.person import identified
    from engine.web.ports import Order, Targets

    order = Order(
        kind=kind, params=dict(params), targets=Targets(clusters=tuple(clusters)), mode=mode
    )
    with identified(*known) as person:
        done = person.orders.run(person.user, order)
    return f"{done.id}: {done.kind} is {done.state} for {', '.join(done.clusters)}"


def _order(config: str, token_file: str | None, order: "Callable[[Person], MissionLine]") -> None:
    """Do `order` in the name of the person, and say where the mission stands then."""
    from engine.app.person import identified

    with identified(config, token_file) as person:
        done = order(person)
        typer.echo(f"{done.id}: {done.kind} is {done.state}")


def _shown(person: "Person", wanted: str, choice: str) -> "ChangeView":
    """Print the change that is meant; return it. Raises Refused: nobody can decide it now."""
    from engine.app.change_text import change_text
    from engine.model.errors import Refused

    view = person.to_decide(wanted, choice)
    typer.echo(change_text(view, colour=on_terminal()))
    if not view.waits:
        raise Refused(f"the change is {view.state}: there is nothing to decide")
    return view


def _decide(
    person: "Person", view: "ChangeView", verdict: Verdict, *, typed: str, comment: str
) -> None:
    """Decide exactly what was shown."""
    decided = asyncio.run(
        person.desk.decide(
            person.user, view.id, view.digest, verdict, via=VIA, typed=typed, comment=comment
        )
    )
    typer.echo(decided.text)
