"""`dogwatch policy`: check the policy file, and ask it who may approve what."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.output import Form, Output, print_json
from engine.model.change import Risk

app = typer.Typer(help="Check the policy file, and ask who may approve what.", no_args_is_help=True)
Configured = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        envvar="DOGWATCH_CONFIG",
        help="Take the clusters of this configuration as known.",
        metavar="FILE",
    ),
]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The policy file.", metavar="FILE")],
    config: Configured = None,
    output: Output = Form.TEXT,
) -> None:
    """List every fault of the policy at once, each file:line:col. Exit 1 on any."""
    from engine.app.policy_file import faults_of
    from engine.rules import faults as forms

    policy, found = faults_of(str(file), config)
    if output is Form.JSON:
        typer.echo(forms.to_json(found))
    elif found:
        typer.echo(forms.to_text(found))
    if policy is not None and output is Form.TEXT:
        told = policy.file
        typer.echo(
            f"{file}: good; {len(told.users)} users, {len(told.groups)} groups, "
            f"{len(told.approvers)} approvers, {len(told.automatic)} automatic approvals"
        )
    raise typer.Exit(1 if found else 0)


@app.command()
def schema() -> None:
    """Print the JSON schema of the policy, for editors."""
    from engine.changes.policy.config import PolicyConfig

    print_json(PolicyConfig.model_json_schema())


@app.command()
def who(
    cluster: Annotated[str, typer.Option(help="Name of the cluster.")],
    risk: Annotated[Risk, typer.Option(help="What a change can do at worst.")],
    namespace: Annotated[str, typer.Option(help="Namespace; none: what lies in none.")] = "",
    policy: Annotated[
        str | None,
        typer.Option(help="The policy file; that of the configuration if absent.", metavar="FILE"),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Ask for this instant, RFC 3339.", metavar="TIME")
    ] = None,
    config: Configured = None,
    output: Output = Form.TEXT,
) -> None:
    """Say who may approve changes of a risk in a place now, and what keeps them from beginning.

    Entries that choose clusters by group or label need --config. A freeze by `dogwatch freeze` is
    not looked at.
    """
    from engine.app.policy_file import asked
    from engine.changes.policy.question import sentences
    from engine.report.clean import clean_lines

    answer = asked((cluster, namespace), risk, policy=policy, config=config, at=at)
    if output is Form.JSON:
        print_json(asdict(answer))
    else:
        typer.echo(clean_lines("\n".join(sentences(answer, risk)), 100_000))
