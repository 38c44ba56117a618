"""Roles: what of dogwatch a process runs."""

from collections.abc import Iterable
from enum import StrEnum

from engine.app.config import AppConfig
from engine.model.errors import ConfigError


class Role(StrEnum):
    """watcher: clusters onto the bus. worker: the bus into firings. runner: missions and sinks.

    web: signals and decisions by HTTP. writer: approved changes into clusters, always a process
    of its own, with credentials of its own. node: the devices of one node, to a receiver; it too
    goes alone. Health and metrics are served in every role.
    """

    WATCHER = "watcher"
    WORKER = "worker"
    RUNNER = "runner"
    WEB = "web"
    WRITER = "writer"
    NODE = "node"


ALONE = {
    Role.WRITER: "it is a process with credentials of its own",
    Role.NODE: "it runs on every node, without store and bus",
}
"""Roles that are never one of several, and why."""
ALL = frozenset(Role) - ALONE.keys()
"""What a process does that is not told its roles."""


def roles_of(named: Iterable[Role], settings: AppConfig) -> frozenset[Role]:
    """Return the roles of this process: those named, or all.

    Raises:
        ConfigError: some are left to other processes, which could not reach store and bus; or
            one that goes alone is not.
    """
    roles = frozenset(named) or ALL
    alone = next((role for role in ALONE if role in roles), None)
    if alone is not None and len(roles) > 1:
        raise ConfigError(f"--role {alone} goes alone: {ALONE[alone]}")
    if alone is not None or roles == ALL:
        return roles
    lacking = [
        what
        for what, there in (
            ("store.url with a PostgreSQL", settings.store.shared),
            ("bus.kafka", settings.bus.kafka),
        )
        if not there
    ]
    if lacking:
        raise ConfigError(
            f"--role shares the work among processes: that needs {' and '.join(lacking)}; "
            "without --role this process does everything"
        )
    return roles
