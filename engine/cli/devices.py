"""`dogwatch devices` and `dogwatch clusters`: what is known of both."""

from typing import Annotated

import typer

from engine.cli.output import ConfigFile, Form, Output, print_json, print_table

app = typer.Typer(help="See and reset what devices each node should have.", no_args_is_help=True)
Cluster = Annotated[str, typer.Option(help="Only of this cluster.", metavar="NAME")]
_HEADS = ("cluster", "node", "device", "has", "should have", "missing", "by")


@app.command("list")
def list_(
    node: Annotated[str, typer.Argument(help="Only of this node.", metavar="[NODE]")] = "",
    cluster: Cluster = "",
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """List what each node has, and what it should have by what was seen of it."""
    from engine.app.devices import devices_of

    _print([line.plain() for line in devices_of(config, node, cluster)], output)


@app.command()
def reset(
    node: Annotated[str, typer.Argument(help="The node.", metavar="NODE")],
    device: Annotated[
        str, typer.Argument(help="Only this kind of device, such as gpu.", metavar="[DEVICE]")
    ] = "",
    cluster: Cluster = "",
    config: ConfigFile = "dogwatch.yaml",
    output: Output = Form.TEXT,
) -> None:
    """Take what a node has now as what it should have; a node that is gone is let go."""
    from engine.app.devices import reset_devices

    _print([line.plain() for line in reset_devices(config, node, device, cluster)], output)


def _print(lines: list[dict[str, object]], output: Form) -> None:
    if output is Form.JSON:
        print_json(lines)
        return
    names = ("cluster", "node", "device", "count", "baseline", "missing", "by")
    rows = [
        [", ".join(map(str, one)) if isinstance(one, list) else one for one in map(line.get, names)]
        for line in lines
    ]
    print_table(_HEADS, rows, empty="nothing is known of any device")


def clusters(config: ConfigFile = "dogwatch.yaml", output: Output = Form.TEXT) -> None:
    """List the clusters that are watched, where they were found, and what is wrong there."""
    from engine.app.fleet_list import listed

    found = listed(config)
    if output is Form.JSON:
        print_json(found)
        return
    heads = ("name", "state", "source", "place", "uid", "since", "problem")
    rows = [[one[head] for head in heads] for one in found]
    print_table(heads, rows, empty="there are no clusters")
