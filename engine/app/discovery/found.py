"""Found: what a look at a source of clusters gives, and what is taken of it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from engine.app.config import NAME, ClusterConfig
from engine.app.discovery.settings import DiscoverConfig, SelectConfig
from engine.cluster.login import Login
from engine.metrics.settings import PrometheusConfig

_FORBIDDEN: Final = re.compile(r"[^a-z0-9.-]+")
_LONGEST: Final = 63


@dataclass(frozen=True)
class Seen:
    """One cluster as a source has it.

    Attributes:
        parts: what its name may be made of: name, and namespace, file, context where there are.
        place: where in the source it stands, such as a file or a Secret.
        labels: those that it has there.
        kubeconfig, context: how it is reached.
        login: in place of them, a kubeconfig that lies in no file.
        server: address of its API server, empty where that is not known.
        problem: why it can not be reached, or what the source says of it; empty for nothing.
        ready: whether there is something to reach it by.
    """

    parts: Mapping[str, str]
    place: str
    labels: Mapping[str, str] = field(default_factory=dict)
    kubeconfig: str | None = None
    context: str | None = None
    login: Login | None = field(default=None, repr=False)
    server: str = ""
    problem: str = ""
    ready: bool = True


@dataclass
class Sighting:
    """What one look saw; `faults` says why a place could not be read, "" standing for all of it.

    What was found at a place that can not be read stays.
    """

    seen: list[Seen] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """One cluster that is taken: with its name, and what is given to it.

    `source` is the label of the source, `place` where it stands there.
    """

    config: ClusterConfig
    source: str
    place: str
    login: Login | None = field(default=None, repr=False)
    server: str = ""
    problem: str = ""
    ready: bool = True

    @property
    def way(self) -> tuple[str | None, str | None, bool]:
        """By what it is reached; credentials in memory may change without this."""
        return self.config.kubeconfig, self.config.context, self.login is not None


@dataclass
class Chosen:
    """What is taken of one sighting; `faults` by place are those of the sighting, and more."""

    found: list[Found] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def choose(config: DiscoverConfig, sighting: Sighting, known: Mapping[str, str]) -> Chosen:
    """Return what `config` takes of a sighting, in order of place.

    Args:
        config: of the source.
        sighting: what it showed.
        known: place of each cluster by name that was taken of it before: those come first where
            there are more than `most`.
    """
    chosen = Chosen(faults=dict(sighting.faults))
    for seen in sorted(sighting.seen, key=lambda one: (one.place, sorted(one.parts.items()))):
        if not selected(config.select, seen):
            continue
        name = name_of(config.name, seen.parts)
        if re.match(NAME, name):
            chosen.found.append(_found(config, seen, name))
        else:
            shown = seen.parts.get("name", "")[:_LONGEST]
            chosen.faults.setdefault(seen.place, f"'{shown}' makes no name of a cluster")
    if len(chosen.found) > config.most:
        held = [one for one in chosen.found if known.get(one.config.name) == one.place]
        others = [one for one in chosen.found if known.get(one.config.name) != one.place]
        left = len(chosen.found) - config.most
        chosen.found = [*held, *others][: config.most]
        chosen.faults["most"] = f"{left} clusters more than `most` ({config.most}) are not taken"
    return chosen


def selected(select: SelectConfig, seen: Seen) -> bool:
    """Whether `select` takes a cluster."""
    name = seen.parts.get("name", "")
    return (
        any(fnmatchcase(name, glob) for glob in select.names)
        and not any(fnmatchcase(name, glob) for glob in select.exclude)
        and all(
            label in seen.labels and fnmatchcase(seen.labels[label], glob)
            for label, glob in select.labels.items()
        )
    )


def name_of(template: str, parts: Mapping[str, str]) -> str:
    """Return the name that `template` gives, in letters that a name may hold."""
    known = {"name": "", "namespace": "", "file": "", "context": "", **parts}
    text = _FORBIDDEN.sub("-", template.format(**known).lower())
    return text[:_LONGEST].strip("-.")


def texts(labels: object) -> dict[str, str]:
    """Return labels as they may be trusted: texts by text."""
    found = labels if isinstance(labels, dict) else {}
    return {n: v for n, v in found.items() if isinstance(n, str) and isinstance(v, str)}


def _found(config: DiscoverConfig, seen: Seen, name: str) -> Found:
    cluster = ClusterConfig(
        name=name,
        kubeconfig=seen.kubeconfig,
        context=seen.context,
        exec_commands=config.exec_commands,
        watchers=config.watchers,
        prometheus=_metrics(config.prometheus, name),
        labels={**seen.labels, **config.labels},
        groups=config.groups,
    )
    return Found(
        cluster, config.label, seen.place, seen.login, seen.server, seen.problem, seen.ready
    )


def _metrics(prometheus: PrometheusConfig | None, name: str) -> PrometheusConfig | None:
    """Return where the metrics of the cluster `name` are."""
    if prometheus is None:
        return None
    match = {label: value.replace("{name}", name) for label, value in prometheus.match.items()}
    url = prometheus.url.replace("{name}", name)
    return prometheus.model_copy(update={"url": url, "match": match})
