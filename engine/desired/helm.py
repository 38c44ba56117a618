"""Helm: charts that lie in the repository, rendered by `helm template` without a cluster."""

import asyncio
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.desired.git import Checkout
from engine.desired.manifests import Manifests, read_manifests
from engine.desired.program import Bounds, Meaning, Program, Words, found
from engine.desired.scratch import ENVIRONMENT, scratch
from engine.model.errors import DesiredError

CHART: Final = "Chart.yaml"
INSTALL: Final = "install helm 3.16 or newer, or render in CI and point at what it wrote"
_SCHEMA: Final = "values.schema.json"
"""Never given to helm: a schema may name others to be fetched."""
_CHART_AT: Final = "chart"
_VALUES_AT: Final = "values"
_MEANINGS: Final = tuple(
    Meaning(re.compile(pattern), "malformed", sentence)
    for pattern, sentence in (
        (r"missing in charts/", "a chart that it depends on is not in its folder charts/"),
        (r"YAML parse error", "a template makes what is no YAML"),
        (r"executing|execution error", "a template fails with the values that it is given"),
        (r"parse error|function .* not defined", "a template can not be parsed"),
        (r"Chart\.yaml|chart metadata|validation: chart", "Chart.yaml is not what it should be"),
    )
)


@dataclass(frozen=True)
class Release:
    """What a chart is rendered as; `values` are files of the repository, the last one decides."""

    name: str
    namespace: str
    values: Sequence[str] = ()


async def render(
    checkout: Checkout, commit: str, path: str, release: Release, program: str | None = None
) -> Manifests:
    """Return the objects that the chart in the folder `path` of `commit` makes, without hooks.

    Charts that it depends on must lie in its folder charts/; nothing is fetched.

    Raises:
        DesiredError: `refused` for values that are not in the repository, `unavailable` without
            helm; `malformed`, `timeout`, `too-large`.
    """
    command = found("helm", program, INSTALL)
    tree = await checkout.tree(commit, path)
    wanted = [file for file in tree.entries if posixpath.basename(file) != _SCHEMA]
    chart = await checkout.read(tree, wanted)
    files = {
        posixpath.join(_CHART_AT, posixpath.relpath(file, path or ".")): content
        for file, content in chart.items()
    }
    given = await _values(checkout, commit, release)
    numbered = {f"{_VALUES_AT}/{number}.yaml": content for number, content in enumerate(given)}
    with scratch({**files, **numbered}) as folder:
        helm = Program(command, ENVIRONMENT, folder, Words(_MEANINGS, tuple(chart)))
        made = await helm.run(_arguments(release, list(numbered)), Bounds())
    return await asyncio.to_thread(read_manifests, made, is_json=False)


def _arguments(release: Release, values: Sequence[str]) -> list[str]:
    options = ["--namespace", release.namespace] if release.namespace else []
    flags = ["--no-hooks", "--skip-tests", "--include-crds", "--skip-schema-validation"]
    given = [word for file in values for word in ("--values", file)]
    return ["template", *options, *flags, *given, "--", release.name, f"./{_CHART_AT}"]


async def _values(checkout: Checkout, commit: str, release: Release) -> list[bytes]:
    if not release.values:
        return []
    tree = await checkout.tree(commit)
    paths = [posixpath.normpath(path) for path in release.values]
    for path in paths:
        if path not in tree.entries:
            why = f"it is {tree.odd[path]}" if path in tree.odd else "it is not in the repository"
            raise DesiredError("refused", f"values '{path[:100]}': {why}")
    contents = await checkout.read(tree, paths)
    return [contents[path] for path in paths]
