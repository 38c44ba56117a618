"""`dogwatch freeze`, `thaw`, `freezes`: stop every new change, and let them go on."""

from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.orders import TokenFile
from engine.cli.output import ConfigFile, Form, Output, print_json, print_table

Cluster = Annotated[str, typer.Option(help="Only this cluster; without it all.", metavar="NAME")]


def freeze(
    reason: Annotated[str, typer.Option(help="Why; others will ask.", metavar="TEXT")],
    cluster: Cluster = "",
    for_: Annotated[
        str,
        typer.Option("--for", help="How long: 30m, 2h, 3d; without it until a thaw.", metavar="T"),
    ] = "",
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """Stop new changes on all processes; one that is under way stops at its next step."""
    from engine.app.person import identified
    from engine.report.words import instant
    from engine.web.ports import scope_of

    for_s = _seconds(for_)
    with identified(config, token_file) as person:
        done = person.orders.freeze(person.user, scope_of(cluster), reason, for_s)
    until = f"until {instant(done.until)}" if done.until else "until somebody thaws it"
    typer.echo(f"frozen: {done.scope}, {until}")


def thaw(
    cluster: Cluster = "",
    token_file: TokenFile = None,
    config: ConfigFile = "dogwatch.yaml",
) -> None:
    """End a freeze; changes that waited go on. Exit 1 when there was none."""
    from engine.app.person import identified
    from engine.web.ports import scope_of

    with identified(config, token_file) as person:
        thawed = person.orders.thaw(person.user, scope_of(cluster))
    typer.echo(f"{'thawed' if thawed else 'no freeze of'} {scope_of(cluster)}")
    raise typer.Exit(0 if thawed else 1)


def freezes(config: ConfigFile = "dogwatch.yaml", output: Output = Form.TEXT) -> None:
    """List the freezes in force; those of the policy's calendar are not among them."""
    from engine.app.person import looking

    with looking(config) as pages:
        found = [asdict(one) for one in pages.freezes()]
    if output is Form.JSON:
        print_json(found)
        return
    heads = ("scope", "who", "since", "until", "reason")
    print_table(heads, ([row[head] for head in heads] for row in found), empty="nothing is frozen")


def _seconds(text: str) -> float | None:
    """Return the seconds of a duration, None for an empty one."""
    from engine.model.errors import DogwatchError
    from engine.model.instant import MICROS, parse_duration

    if not text:
        return None
    try:
        us = parse_duration(text)
    except ValueError as error:
        raise DogwatchError(f"--for: {error}") from error
    if us <= 0:
        raise DogwatchError(f"--for {text}: a freeze of no time freezes nothing")
    return us / MICROS
