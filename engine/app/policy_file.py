"""One policy file, outside of a running engine: read, checked, and asked."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from engine.app.config import AppConfig, ClusterConfig
from engine.app.configured import load_config
from engine.changes.policy import Place, Policy, load_policy
from engine.changes.policy.load import policy_faults
from engine.changes.policy.question import Answer, who
from engine.changes.templates import TEMPLATES
from engine.model.change import Risk
from engine.model.errors import ConfigError, DogwatchError, Fault
from engine.model.instant import from_us, parse_rfc3339
from engine.model.ports import SystemClock


def places_of(settings: AppConfig) -> dict[str, Place]:
    """Return the clusters of the configuration as policies choose them."""
    return places_in(settings.clusters)


def places_in(clusters: Iterable[ClusterConfig]) -> dict[str, Place]:
    """Return `clusters` as policies choose them."""
    return {one.name: Place(one.labels, tuple(one.groups)) for one in clusters}


def policy_of(
    path: str, data: str | bytes, places: Mapping[str, Place], *, complete: bool
) -> Policy:
    """Return the policy in `data` for the clusters `places`.

    Where these are not `complete`, as others are found, it may name clusters that there are not.

    Raises:
        ConfigError: holds every fault, one a line.
    """
    policy = load_policy(path, data, places if complete else None, TEMPLATES)
    return replace(policy, clusters=places)


def read_policy(path: str, settings: AppConfig | None = None) -> Policy:
    """Return the policy in the file `path`, for the clusters of `settings` where given.

    Raises:
        ConfigError: it cannot be read, or holds faults: every one, one a line.
    """
    if settings is None:
        return load_policy(path, read_file(path), None, TEMPLATES)
    complete = not settings.discover
    return policy_of(path, read_file(path), places_of(settings), complete=complete)


def faults_of(path: str, config: str | None) -> tuple[Policy | None, list[Fault]]:
    """Return the policy in the file `path`, or None, and every fault of it.

    Args:
        path: of the policy.
        config: of the configuration whose clusters are known, None: names are not checked.

    Raises:
        ConfigError: a file cannot be read, or the configuration is refused.
    """
    data = read_file(path)
    settings = None if config is None else load_config(config)
    places = None if settings is None or settings.discover else places_of(settings)
    found = policy_faults(path, data, places, TEMPLATES)
    return (None if found else load_policy(path, data, places, TEMPLATES)), found


def asked(
    place: tuple[str, str], risk: Risk, *, policy: str | None, config: str | None, at: str | None
) -> Answer:
    """Return who may approve `risk` at `place` (cluster, namespace) at the instant `at`, or now.

    Args:
        place: cluster and namespace, which is empty for what lies in none.
        risk: what a change can do at worst.
        policy: path of the policy; None: that of the configuration.
        config: path of the configuration, dogwatch.yaml where neither is given.
        at: RFC 3339, None: now.

    Raises:
        ConfigError: a file is refused, or there is no policy to ask.
        DogwatchError: `at` is no instant.
    """
    settings = load_config(config or "dogwatch.yaml") if config or policy is None else None
    path = policy or (settings.changes.policy_file if settings else None)
    if path is None:
        raise ConfigError("the configuration names no changes.policy_file: nothing is changed")
    try:
        now = SystemClock().now() if at is None else from_us(parse_rfc3339(at))
    except ValueError as error:
        raise DogwatchError(f"--at: {error}") from error
    return who(read_policy(path, settings), place, risk, now)


def read_file(path: str) -> bytes:
    """Return what is in the file `path`. Raises ConfigError when it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
