"""The list of the fleet: every cluster that is known, and what is wrong where they are found."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from engine.app.config import AppConfig
from engine.app.discovery.settings import source
from engine.app.fleet_register import CONFIGURED, FAULTS, NAMES, Record, record_of
from engine.app.opening import stored
from engine.store.store import Store

_NOBODY: Final = ""


@dataclass(frozen=True)
class Row:
    """One cluster, or one place of a source where none could be found (`name` is empty then).

    Attributes:
        name, uid: of the cluster; `uid` is empty until it was reached, or where that is hidden.
        source, place: where it was found; `configured`: in the configuration.
        server: address of its API server, where it was found.
        state: `watched` (it was reached), `waiting` (never reached yet), `twin` (of another one,
            and not watched where it was found), `renamed` or `leaving` (its end is not told yet),
            `problem` (of a place).
        since: when it joined, RFC 3339.
        labels: those given to it.
        problem: what is wrong, empty for nothing.
    """

    name: str
    uid: str = ""
    source: str = CONFIGURED
    place: str = ""
    server: str = ""
    state: str = "waiting"
    since: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def listed(config: str) -> list[dict[str, Any]]:
    """Return the rows of the fleet of the configuration in the file `config`, by name.

    Raises:
        ConfigError: the configuration is refused.
        StoreError: the store did not answer.
    """
    with stored(config) as (store, settings):
        return [asdict(row) for row in rows(store, settings)]


def rows(store: Store, settings: AppConfig) -> list[Row]:
    """Return a row for each cluster by name, then one for each fault of a source."""
    names = store.memories(_NOBODY, NAMES)
    records = {name: record_of(raw) for name, raw in names.items()}
    known = {one.name: Row(one.name, labels=one.labels) for one in settings.clusters}
    labels = {source(one.type, one.model_extra or {}).label for one in settings.discover}
    found = {name: _row(name, record, known, labels) for name, record in records.items()}
    every = {**known, **found}
    return [*(every[name] for name in sorted(every)), *_faults(store, labels)]


def _row(name: str, record: Record, configured: dict[str, Row], sources: set[str]) -> Row:
    state, problem = "watched", ""
    if record.after:
        state, problem = "renamed", f"it is called {record.after} now"
    elif name not in configured and record.source not in sources:
        state, problem = "leaving", "neither the configuration nor a source names it"
    elif record.twin:
        state, problem = "twin", f"it is the same cluster as {record.twin}"
    return Row(
        name,
        record.uid,
        record.source,
        record.place,
        record.server,
        state,
        record.since,
        record.labels,
        problem,
    )


def _faults(store: Store, sources: set[str]) -> list[Row]:
    found = []
    for label, raw in sorted(store.memories(_NOBODY, FAULTS).items()):
        places = msgspec.json.decode(raw, type=dict[str, str]) if label in sources else {}
        found += [
            Row("", source=label, place=place, state="problem", problem=places[place])
            for place in sorted(places)
        ]
    return found
