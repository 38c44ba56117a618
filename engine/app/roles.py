"""Roles: what of dogwatch a process runs."""

from collections.abc import Iterable
from enum import StrEnum

from engine.app.config import AppConfig
from engine.model.errors import ConfigError


class Role(StrEnum):
    """watcher: clusters onto the bus. worker: the bus into firings. runner: missions and sinks.

    web: signals and decisions by HTTP. writer: approved changes into clusters, always a process
    of its own, with credentials of its own. Health and metrics are served in every role.
    """

    WATCHER = "watcher"
    WORKER = "worker"
    RUNNER = "runner"
    WEB = "web"
    WRITER = "writer"


ALL = frozenset(Role) - {Role.WRITER}
"""What a process does that is not told its roles."""
ALONE = frozenset({Role.WRITER})


def roles_of(named: Iterable[Role], settings: AppConfig) -> frozenset[Role]:
    """Return the roles of this process: those named, or all.

    Raises:
        ConfigError: some are left to other processes, which could not reach store and bus; or
            the writer is not alone.
    """
    roles = frozenset(named) or ALL
    if Role.WRITER in roles and roles != ALONE:
        raise ConfigError("--role writer goes alone: it is a process with credentials of its own")
    if roles in {ALL, ALONE}:
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
