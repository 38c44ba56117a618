"""The configuration as it is in force: file, environment, and every fault with its place."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.app.config import AppConfig, ClusterConfig, SinkConfig
from engine.model.errors import ConfigError, Fault
from engine.rules import wording, yaml
from engine.rules.yaml import Node
from sinks.registry import kinds

PREFIX = "DOGWATCH_"
NOT_SETTINGS = {"DOGWATCH_CONFIG", "DOGWATCH_DEBUG", "DOGWATCH_TESTBED_CACHE"}


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
    places = dict(_overrides(environ))
    for names, value in places.items():
        _set(settings, names, value)
    return _checked(path, root, settings, places)


def _checked(
    path: str, root: Node, settings: Any, places: Mapping[tuple[str, ...], Any]
) -> AppConfig:
    faults: list[str] = []

    def fault(where: tuple[int | str, ...], message: str) -> None:
        texts = tuple(map(str, where))
        named = next((p for p in places if texts[: len(p)] == p), None)
        if named is not None:
            faults.append(f"{PREFIX}{'__'.join(named).upper()}: {message}")
            return
        line, column = _place(root, where)
        faults.append(str(Fault(path, line, column, message)))

    try:
        config = AppConfig.model_validate(settings)
    except ValidationError as error:
        for details in error.errors():
            fault(details["loc"], _message(details))
        raise ConfigError("\n".join(faults)) from error
    for where, message in _cross_faults(config):
        fault(where, message)
    if faults:
        raise ConfigError("\n".join(faults))
    return _rooted(config, Path(path).resolve().parent)


def _cross_faults(config: AppConfig) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield what no single field shows: sinks that are not there, options of a sink type."""
    for name, sink in config.sinks.items():
        kind = kinds().get(sink.type)
        if kind is None:
            yield ("sinks", name, "type"), wording.unknown("sink type", sink.type, kinds())
            continue
        try:
            kind.config.model_validate(options(sink))
        except ValidationError as error:
            for details in error.errors():
                where = ("sinks", name, *details["loc"])
                known = [one.alias or n for n, one in kind.config.model_fields.items()]
                yield where, _message({**details, "loc": where}, known)
    for number, route in enumerate(config.routes):
        for at, name in enumerate(route.sinks):
            if name not in config.sinks:
                message = wording.unknown("sink", name, config.sinks)
                yield ("routes", number, "sinks", at), message


def options(sink: SinkConfig) -> dict[str, Any]:
    """Return the options of a sink without its type."""
    return dict(sink.model_extra or {})


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            document = yaml.read(name, environ[name])
            if document.faults:
                raise ConfigError("\n".join(map(str, document.faults)))
            value = document.documents[0].plain() if document.documents else ""
            yield tuple(name.removeprefix(PREFIX).lower().split("__")), value


def _set(settings: Any, names: tuple[str, ...], value: Any) -> None:
    for name in names[:-1]:
        if not isinstance(settings, dict):
            return
        settings = settings.setdefault(name, {})
    if isinstance(settings, dict):
        settings[names[-1]] = value


def _place(root: Node, where: tuple[int | str, ...]) -> tuple[int, int]:
    """Return line and column of the value at `where`, of its nearest parent where absent."""
    node = root
    place = (node.line, node.column)
    for step in where:
        value = node.value
        if isinstance(value, dict) and str(step) in value:
            key = node.keys[str(step)]
            node, place = value[str(step)], (key.line, key.column)
        elif isinstance(value, tuple) and isinstance(step, int) and step < len(value):
            node = value[step]
            place = (node.line, node.column)
        else:
            break
    return place


def _message(details: ErrorDetails, fields: Sequence[str] = ()) -> str:
    """Return the sentence about one fault; `fields` are those allowed, where they are known."""
    where = ".".join(map(str, details["loc"]))
    if details["type"] == "extra_forbidden":
        known = fields or _fields_of(details["loc"][:-1])
        return wording.unknown("field", str(details["loc"][-1]), known)
    found = details.get("input")
    shown = f", found {wording.quoted(str(found))}" if isinstance(found, (str, int, float)) else ""
    return f"{where or 'the file'}: {details['msg']}{shown}"


def _fields_of(where: tuple[int | str, ...]) -> list[str]:
    """Return the fields allowed at `where`."""
    model: Any = AppConfig
    for step in where:
        if isinstance(step, int):
            continue
        model = _inner(model.model_fields[step].annotation)
    return list(model.model_fields)


def _inner(annotation: Any) -> Any:
    """Return the config model within `Model`, `tuple[Model, ...]` or `dict[str, Model]`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next(
        (found for one in getattr(annotation, "__args__", ()) if (found := _inner(one))), None
    )


def _rooted(config: AppConfig, folder: Path) -> AppConfig:
    """Return `config` with its paths made absolute against `folder`."""

    def rooted(path: str) -> str:
        return str(folder / Path(path).expanduser())

    def cluster(one: ClusterConfig) -> ClusterConfig:
        if one.kubeconfig is None:
            return one
        return one.model_copy(update={"kubeconfig": rooted(one.kubeconfig)})

    def sink(one: SinkConfig) -> SinkConfig:
        files = {
            name: rooted(value)
            for name, value in options(one).items()
            if isinstance(value, str) and (name.endswith("_file") or name == "file")
        }
        return SinkConfig.model_validate({"type": one.type, **options(one), **files})

    http = config.http
    if http.token_file is not None:
        http = http.model_copy(update={"token_file": rooted(http.token_file)})
    return config.model_copy(
        update={
            "clusters": tuple(cluster(one) for one in config.clusters),
            "data_dir": rooted(config.data_dir),
            "rules": tuple(rooted(path) for path in config.rules),
            "sinks": {name: sink(one) for name, one in config.sinks.items()},
            "http": http,
        }
    )
