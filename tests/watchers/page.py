"""The page docs/watchers.md, made of the registries: `python -m tests.watchers.page` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.app.discovery.settings import TYPES, DiscoverConfig
from engine.app.option_text import intro, meanings, within
from engine.app.sources import right
from engine.metrics.settings import PrometheusConfig
from engine.model.config import Config
from watchers import receiving
from watchers.registry import kinds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pydantic.fields import FieldInfo

    from watchers.registry import Source, WatcherKind

_HEADS = ("| option | default | meaning |", "| --- | --- | --- |")
PAGE = Path(__file__).parent.parent.parent / "docs" / "watchers.md"
_HEAD = """\
# Watchers

Where signals come from, what each watcher needs, and what may be set. Written by
`python -m tests.watchers.page` from the watchers themselves; what the signals hold is in
[signals.md](signals.md), what other systems post in [receivers.md](receivers.md), how objects are
compared with git in [drift.md](drift.md), how clusters are found in [clusters.md](clusters.md).

```yaml
# dogwatch.yaml
clusters:
  - name: prod-eu
    context: prod-eu
    prometheus: {url: "http://127.0.0.1:9090"}     # for metrics and GPUs of this cluster
    watchers:
      certificates: {endpoints: ["shop.example.com:443"]}
      predictions: false                           # this one does not run
```

- A watcher that is not named runs where the table says _by itself_; `NAME: false` ends it, with
  all that is known by it.
- `dogwatch watch WATCHER --once` prints what a watcher would publish, and publishes nothing.
- `dogwatch doctor` says for each cluster which sources work, what is missing, the right or setting
  that would give it, and the rules that hear nothing without it.
- What cannot be read is told once, as a signal of type `watcher`, and again when it can be read.
  A source that is forbidden or not there, or refuses a question, hinders no other; where all of
  them are, heartbeats go on. One that does not answer stops the heartbeats of its watcher, so that
  nothing is taken for gone that was only not seen; none comes before a look is over, nor from what
  only reads the API while nothing of the cluster can be seen.
"""


_DISCOVERY = """\
`discover` lists where clusters are found; what is found is watched beside the clusters that are
named, until it is gone there. A cluster is known by the uid of its namespace kube-system: one that
comes back under another name is renamed, one that was made anew under its old name is told as such.
`dogwatch clusters` lists all of them; more in [clusters.md](clusters.md).
The writer knows only the clusters that are named.
"""


def page() -> str:
    """Return the page as it should be."""
    parts = [_HEAD, overview(), ""]
    parts += ["\n".join(_watcher(kind)) for kind in kinds().values()]
    parts.append("## Finding clusters\n")
    parts.append(_DISCOVERY)
    parts += blocks(DiscoverConfig)
    parts += ["\n".join(_found(name)) for name in TYPES]
    parts.append("## Prometheus of a cluster\n")
    parts.append("`clusters[].prometheus`, and `prometheus` of a source of clusters.\n")
    parts += blocks(PrometheusConfig)
    parts.append("## Receivers\n")
    parts.append("What other systems post to `/v1/receive/NAME`: [receivers.md](receivers.md).\n")
    parts += ["\n".join(_receiver(name)) for name in receiving.kinds()]
    return "\n".join(parts).rstrip() + "\n"


def overview(where: str = "") -> str:
    """Return the table of all watchers, with links to this page, which lies at `where`."""
    rows = [
        f"| [`{kind.name}`]({where}#{kind.name}) | {_told(kind.summary)} | {_runs(kind)} |"
        for kind in kinds().values()
    ]
    return "\n".join(["| watcher | what it tells | runs |", "| --- | --- | --- |", *rows])


def _told(summary: str) -> str:
    text = summary.removeprefix("Yield ").rstrip(".")
    return f"{text}."


def _runs(kind: WatcherKind) -> str:
    return "by itself" if kind.default else f"with `watchers.{kind.name}`"


def _watcher(kind: WatcherKind) -> Iterator[str]:
    yield f"## {kind.name}\n"
    yield f"{_told(kind.summary)} Runs {_runs(kind)}.\n"
    yield from blocks(kind.config)
    if kind.sources:
        yield "| source | gives | needs |"
        yield "| --- | --- | --- |"
        yield from (_source(source) for source in kind.sources)
        yield ""


def _found(name: str) -> Iterator[str]:
    config = TYPES[name]
    yield f"### {name}\n"
    if said := intro(config):
        yield f"{said}\n"
    yield "Beside the options above:\n"
    yield _options(config, without=DiscoverConfig.model_fields)


def _receiver(name: str) -> Iterator[str]:
    kind = receiving.kinds()[name]
    yield f"### {name}\n"
    yield f"{kind.summary}\n"
    yield from blocks(kind.config)


def _source(source: Source) -> str:
    needs = [f"`{right(source)}`" if source.verbs else "", f"`{source.setting}`"]
    told = " and ".join(one for one in needs if one not in {"", "``"})
    many = " _(where the cluster has it)_" if source.optional else ""
    return f"| {source.name} | {source.gives}{many} | {told} |"


def blocks(config: type[Config], at: str = "") -> Iterator[str]:
    """Yield what a block is, its options, and the blocks within it, which are at `at`."""
    if at:
        yield f"**`{at}`**\n"
    if said := intro(config):
        yield f"{said}\n"
    if config.model_fields:
        yield _options(config)
    for name, inner in within(config):
        if inner is not PrometheusConfig:
            yield from blocks(inner, f"{at}.{name}" if at else name)


def _options(config: type[Config], without: Collection[str] = ()) -> str:
    told = meanings(config)
    rows = [
        f"| `{field.alias or name}` | {_given(field)} | {_cell(told[field.alias or name])} |"
        for name, field in config.model_fields.items()
        if name not in without
    ]
    return "\n".join([*_HEADS, *rows, ""])


def _given(field: FieldInfo) -> str:
    if field.is_required():
        return "_required_"
    return _default(field.get_default(call_default_factory=True))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(value: Any) -> str:
    if value is None or value in ((), {}, [], ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Config):
        return "as below"
    if isinstance(value, list | tuple | frozenset | set):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page())
