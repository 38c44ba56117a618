"""Paths of the configuration: which options are some, and all of them made absolute."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.app.config import AppConfig, ClusterConfig, ReceiverConfig, SinkConfig, SourceConfig
from engine.model.config import Config
from engine.rules.modelled import Where

_PATHS: Final = ("_file", "_path", "kubeconfig")
"""Ends of the names of options that hold a path."""


def files(settings: Mapping[str, Any] | list[Any]) -> Iterator[tuple[Where, str]]:
    """Yield (place, path) of each setting that names a file to read, in blocks and lists too."""
    entries = settings.items() if isinstance(settings, Mapping) else enumerate(settings)
    for name, value in entries:
        if str(name).endswith("_file") and isinstance(value, str):
            yield (name,), value
        elif str(name).endswith("_files"):
            texts = value.items() if isinstance(value, dict) else ()
            yield from (((name, key), text) for key, text in texts if isinstance(text, str))
        elif isinstance(value, dict | list):
            yield from (((name, *where), file) for where, file in files(value))


def rooted(config: AppConfig, folder: Path) -> AppConfig:
    """Return `config` with its paths made absolute against `folder`."""
    named = ("http", "store", "bus", "changes", "advisor", "node")
    blocks = {name: block for name in named if (block := getattr(config, name)) is not None}
    return config.model_copy(
        update={
            "clusters": tuple(_rooted_cluster(one, folder) for one in config.clusters),
            "discover": tuple(
                SourceConfig.model_validate(rooted_options(one.model_dump(), folder))
                for one in config.discover
            ),
            "data_dir": _rooted_path(config.data_dir, folder),
            "rules": tuple(_rooted_path(path, folder) for path in config.rules),
            "sinks": {name: _rooted_sink(one, folder) for name, one in config.sinks.items()},
            "receivers": {
                name: ReceiverConfig.model_validate(rooted_options(one.model_dump(), folder))
                for name, one in config.receivers.items()
            },
            **{name: _rooted_block(block, folder) for name, block in blocks.items()},
        }
    )


def _rooted_path(path: str, folder: Path) -> str:
    return str(folder / Path(path).expanduser())


def _rooted_block(block: Any, folder: Path) -> Any:
    """Return `block` with what names a file in it, and in its blocks, made absolute."""
    given: dict[str, Any] = {}
    for name, value in block:
        if isinstance(value, Config):
            given[name] = _rooted_block(value, folder)
        elif value is not None and (name.endswith("_file") or name == "kubeconfig"):
            given[name] = _rooted_path(value, folder)
    return block.model_copy(update=given)


def _rooted_cluster(cluster: ClusterConfig, folder: Path) -> ClusterConfig:
    """Return `cluster` with its paths, and those of its watchers, made absolute."""
    watchers = {name: rooted_options(block, folder) for name, block in cluster.watchers.items()}
    rooted: ClusterConfig = _rooted_block(cluster, folder)
    return rooted.model_copy(update={"watchers": watchers})


def rooted_options(given: Any, folder: Path) -> Any:
    """Return options with what names a file in them, at any depth, made absolute."""
    if isinstance(given, list):
        return [rooted_options(one, folder) for one in given]
    if not isinstance(given, dict):
        return given
    return {name: _rooted_option(name, value, folder) for name, value in given.items()}


def _rooted_option(name: str, value: Any, folder: Path) -> Any:
    if isinstance(value, str) and name.endswith(_PATHS):
        return _rooted_path(value, folder)
    if isinstance(value, dict) and name.endswith("_files"):
        texts = {key: text for key, text in value.items() if isinstance(text, str)}
        return value | {key: _rooted_path(text, folder) for key, text in texts.items()}
    return rooted_options(value, folder)


def _rooted_sink(sink: SinkConfig, folder: Path) -> SinkConfig:
    given = rooted_options(dict(sink.model_extra or {}), folder)
    if isinstance(given.get("file"), str):
        given["file"] = _rooted_path(given["file"], folder)
    return SinkConfig.model_validate({"type": sink.type, **given})
