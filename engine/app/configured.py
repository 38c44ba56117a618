"""The configuration as it is in force: file, environment, and every fault with its place."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.app.config import AppConfig, ReceiverConfig, SinkConfig
from engine.app.discovery.settings import TYPES, DiscoverConfig
from engine.app.rooted import files, rooted, rooted_options
from engine.model.config import Config
from engine.model.errors import ConfigError, Fault
from engine.rules import wording, yaml
from engine.rules.modelled import Where, fields_of, message, place
from engine.rules.yaml import Node
from sinks.registry import Kind, kinds
from watchers.receiving import ReceiverKind
from watchers.receiving import kinds as receiver_kinds
from watchers.registry import kinds as watcher_kinds

PREFIX = "DOGWATCH_"
NOT_SETTINGS = {"DOGWATCH_CONFIG", "DOGWATCH_DEBUG", "DOGWATCH_TESTBED_CACHE", "DOGWATCH_TOKEN"}


def load_config(path: str, environ: Mapping[str, str] | None = None) -> AppConfig:
    """Return the configuration in the file `path`, overridden by the environment.

    `DOGWATCH_HTTP__LISTEN=0.0.0.0:9095` sets `http.listen`; a value is read as YAML.
    Relative paths in the result are relative to the folder of the file.

    Raises:
        ConfigError: holds every fault, one a line, each `file:line:column`.
    """
    environ = os.environ if environ is None else environ
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; give the file by --config FILE or DOGWATCH_CONFIG"
        ) from error
    source = yaml.read(path, data)
    faults = list(source.faults)
    root = source.documents[0] if source.documents else Node({}, 1, 1)
    if len(source.documents) > 1:
        second = source.documents[1]
        faults.append(Fault(path, second.line, second.column, "one document is allowed"))
    if faults:
        raise ConfigError("\n".join(map(str, faults)))
    settings = root.plain() or {}
    told = _Told(path, root)
    _override(settings, environ, told)
    folder = Path(path).resolve().parent
    config: AppConfig | None = None
    try:
        config = AppConfig.model_validate(settings)
    except ValidationError as error:
        for details in error.errors():
            told.add(details["loc"], _message(details))
    for where, said in _cross_faults(_mapping(settings), folder):
        told.add(where, said)
    if config is None or told.lines():
        raise ConfigError("\n".join(told.lines()))
    return rooted(config, folder)


@dataclass
class _Told:
    """The faults found so far; `named` are the settings that the environment gave."""

    path: str
    root: Node
    named: list[tuple[str, ...]] = field(default_factory=list)
    of_file: list[Fault] = field(default_factory=list)
    of_environment: list[str] = field(default_factory=list)

    def add(self, where: Where, message: str) -> None:
        texts = tuple(map(str, where))
        named = next((p for p in self.named if texts[: len(p)] == p), None)
        if named is not None:
            self.of_environment.append(f"{PREFIX}{'__'.join(named).upper()}: {message}")
            return
        line, column = place(self.root, where)
        self.of_file.append(Fault(self.path, line, column, message))

    def lines(self) -> list[str]:
        """Return the faults of the file from its top to its end, then those of the environment."""
        placed = sorted(self.of_file, key=lambda fault: (fault.line, fault.column))
        return [*map(str, placed), *self.of_environment]


def _cross_faults(settings: Mapping[str, Any], folder: Path) -> Iterator[tuple[Where, str]]:
    """Yield what no single field shows; reads what was written, whatever else is wrong with it."""
    sinks = _mapping(settings.get("sinks"))
    for name, sink in sinks.items():
        yield from _typed_faults(("sinks", name), _mapping(sink), kinds(), folder)
    for name, block in _mapping(settings.get("receivers")).items():
        yield from _typed_faults(("receivers", name), _mapping(block), receiver_kinds(), folder)
    for name in ("http", "store", "bus", "changes", "advisor", "node"):
        # A policy that is not there stops changes, and nothing else.
        block = {**_mapping(settings.get(name)), "policy_file": None}
        yield from _file_faults((name,), block, folder)
    clusters = settings.get("clusters")
    for number, cluster in enumerate(clusters if isinstance(clusters, list) else ()):
        yield from _cluster_faults(("clusters", number), _mapping(cluster), folder)
    yield from _discover_faults(settings, folder)
    routes = settings.get("routes")
    for number, route in enumerate(routes if isinstance(routes, list) else ()):
        named = _mapping(route).get("sinks")
        for at, name in enumerate([named] if isinstance(named, str) else named or ()):
            if isinstance(name, str) and name not in sinks:
                yield ("routes", number, "sinks", at), wording.unknown("sink", name, sinks)


def _discover_faults(settings: Mapping[str, Any], folder: Path) -> Iterator[tuple[Where, str]]:
    clusters, blocks = settings.get("clusters"), settings.get("discover")
    listed = clusters if isinstance(clusters, list) else []
    known = {str(name) for one in listed if (name := _mapping(one).get("name"))}
    labels: dict[str, int] = {}
    for number, block in enumerate(blocks if isinstance(blocks, list) else ()):
        at, one = ("discover", number), _mapping(block)
        kind = TYPES.get(str(one.get("type")))
        if kind is None:
            if "type" in one:
                yield (*at, "type"), wording.unknown("source type", str(one["type"]), TYPES)
            continue
        given = {n: v for n, v in one.items() if n != "type"}
        yield from _option_faults(at, kind, given)
        yield from _cluster_faults(at, one, folder)
        label = _label(kind, rooted_options(given, folder))
        if label and labels.setdefault(label, number) != number:
            yield at, f"the source '{label}' is named twice: discover.{labels[label]} is it too"
        hub = one.get("cluster")
        if isinstance(hub, str) and hub not in known:
            yield (*at, "cluster"), wording.unknown("cluster", hub, known)


def _label(kind: type[DiscoverConfig], given: Mapping[str, Any]) -> str:
    """Return which source it is, with all defaults; empty where its options are refused."""
    try:
        return kind.model_validate(given).label
    except ValidationError:
        return ""


def _cluster_faults(
    at: Where, cluster: Mapping[str, Any], folder: Path
) -> Iterator[tuple[Where, str]]:
    known = watcher_kinds()
    for name, block in _mapping(cluster.get("watchers")).items():
        where = (*at, "watchers", name)
        if name not in known:
            yield where, wording.unknown("watcher", name, known)
        elif isinstance(block, dict):
            yield from _option_faults(where, known[name].config, block)
            yield from _file_faults(where, block, folder)
    yield from _file_faults((*at, "prometheus"), _mapping(cluster.get("prometheus")), folder)


def _typed_faults(
    at: Where,
    block: Mapping[str, Any],
    known: Mapping[str, Kind[Any]] | Mapping[str, ReceiverKind],
    folder: Path,
) -> Iterator[tuple[Where, str]]:
    """Yield what is wrong with a sink or a receiver: its type, its options, its files."""
    type_ = block.get("type")
    if not isinstance(type_, str):
        return  # told by the model
    kind = known.get(type_)
    if kind is None:
        yield (*at, "type"), wording.unknown(f"{at[0]} type".replace("s ", " "), type_, known)
        return
    given = {option: value for option, value in block.items() if option != "type"}
    yield from _option_faults(at, kind.config, given)
    yield from _file_faults(at, given, folder)


def _option_faults(
    at: Where, config: type[Config], given: Mapping[str, Any]
) -> Iterator[tuple[Where, str]]:
    try:
        config.model_validate(given)
    except ValidationError as error:
        for details in error.errors():
            where = (*at, *details["loc"])
            known = fields_of(config, details["loc"][:-1])
            yield where, _message({**details, "loc": where}, known)


def _file_faults(
    at: Where, settings: Mapping[str, Any], folder: Path
) -> Iterator[tuple[Where, str]]:
    """Yield the secrets and certificates that are not there, below `at`."""
    for where, file in files(settings):
        if not (folder / Path(file).expanduser()).is_file():
            named = ".".join(map(str, (*at, *where)))
            yield (*at, *where), f"{named}: there is no file '{file}'"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def options(block: SinkConfig | ReceiverConfig) -> dict[str, Any]:
    """Return the options of a sink or a receiver without its type."""
    return dict(block.model_extra or {})


def _override(settings: Any, environ: Mapping[str, str], told: _Told) -> None:
    """Set in `settings` what the environment gives, each value read as YAML."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        document = yaml.read(name, environ[name])
        value = document.documents[0].plain() if document.documents else ""
        names = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if document.faults:
            told.of_environment.extend(map(str, document.faults))
        elif _set(settings, names, value):
            told.named.append(names)
        else:
            told.of_environment.append(
                f"{name}: only fields of mappings can be set, not parts of lists"
            )


def _set(settings: Any, names: tuple[str, ...], value: Any) -> bool:
    """Set the field that `names` lead to; return whether there is such a place."""
    for name in names[:-1]:
        if not isinstance(settings, dict):
            return False
        if settings.get(name) is None:
            settings[name] = {}
        settings = settings[name]
    if not isinstance(settings, dict):
        return False
    settings[names[-1]] = value
    return True


def _message(details: ErrorDetails, fields: Sequence[str] = ()) -> str:
    """Return the sentence about one fault; `fields` are those allowed, where they are known."""
    return message(details, fields or fields_of(AppConfig, details["loc"][:-1]))
