"""The store: one database, its parts by subject."""

from engine.store.checkpoint import Checkpoints
from engine.store.deliveries import Outbox
from engine.store.firings import Firings
from engine.store.missions import Missions
from engine.store.quarantine import Quarantine
from engine.store.retention import Retention
from engine.store.rule_sets import RuleSets
from engine.store.trace import Trace
from engine.store.waiting import Waiting


class Store(
    Checkpoints, Firings, Missions, Outbox, Quarantine, RuleSets, Trace, Retention, Waiting
):
    """All that dogwatch remembers; `open` it, `close` it, use it from any thread.

    Raises (every method):
        StoreError: the disk is full or refuses, or the file is damaged. Nothing was written
            then, and the next call may succeed.
    """
