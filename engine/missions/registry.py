"""The registry of mission kinds: a kind is a decorated pure function."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeAlias

from engine.model.config import Config
from engine.model.mission_kinds import MissionType
from engine.model.report import Report
from engine.model.snapshot import ClusterSnapshot, Snapshot

KINDS = {"incident-response": "engine.missions.kinds.incident_response"}
"""Every kind with its package: `run` registers it, `params` holds the model PARAMS.

Rules need to know the parameters only; what a kind runs on takes long to import.
"""

LogKey: TypeAlias = tuple[str, str, str, bool]
"""(namespace, pod, container, previous): one log tail."""
Run: TypeAlias = Callable[[Snapshot, Any, datetime], Report]
LogChoice: TypeAlias = Callable[[ClusterSnapshot, Any], Iterable[LogKey]]


@dataclass(frozen=True)
class MissionKind:
    """One kind of mission.

    Attributes:
        name: `incident-response`; what rules and people call it.
        type: analyze, repair, troubleshoot or deploy.
        params: model of the parameters; unknown ones are refused.
        needs: resources to list (`pods`, `deployments.apps`): all that it reads.
        run: (snapshot, params, now) -> Report; pure, any number of times the same answer.
        logs: which log tails to fetch, chosen from the objects; None for none.
        summary: one sentence on what it does.
        phases: legs at most; each but the last may propose changes.
        changes: templates (engine.changes.templates) of the changes that it may propose.
    """

    name: str
    params: type[Config]
    type: MissionType
    needs: tuple[str, ...]
    run: Run
    logs: LogChoice | None
    summary: str
    phases: int = 1
    changes: tuple[str, ...] = ()

    def choosing(self, params: Any) -> "Callable[[ClusterSnapshot], Iterable[LogKey]] | None":
        """Return what chooses the log tails that `params` ask for; None: it wants none."""
        logs = self.logs
        return None if logs is None else lambda cluster: logs(cluster, params)


_registered: dict[str, MissionKind] = {}


def mission(  # noqa: PLR0913 - the parts of a declaration
    name: str,
    *,
    type: MissionType,  # noqa: A002 - the word of the contract
    params: type[Config],
    needs: Iterable[str],
    logs: LogChoice | None = None,
    phases: int = 1,
    changes: Iterable[str] = (),
) -> Callable[[Run], Run]:
    """Register the decorated function as the mission kind `name`.

    Raises:
        ValueError: the name is taken, or the function has no docstring to show.
    """

    def register(run: Run) -> Run:
        if name in _registered:
            raise ValueError(f"mission kind '{name}' is registered twice")
        if not run.__doc__:
            raise ValueError(f"mission kind '{name}' has no docstring")
        summary = run.__doc__.strip().splitlines()[0]
        _registered[name] = MissionKind(
            name, params, type, tuple(needs), run, logs, summary, phases, tuple(changes)
        )
        return run

    return register


def kinds() -> Mapping[str, MissionKind]:
    """Return every mission kind by name, in order of name."""
    for package in KINDS.values():
        import_module(f"{package}.run")
    return MappingProxyType(dict(sorted(_registered.items())))


def params() -> Mapping[str, type[Config]]:
    """Return the model of the parameters of every mission kind, without what it runs on."""
    return {name: import_module(f"{package}.params").PARAMS for name, package in KINDS.items()}
