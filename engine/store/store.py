"""The store: one database, its parts by subject."""

from engine.store.audit import Audit
from engine.store.brakes import Brakes
from engine.store.changes import Changes
from engine.store.checkpoint import Checkpoints
from engine.store.conditions import Conditions
from engine.store.deciding import Deciding
from engine.store.deliveries import Outbox
from engine.store.firings import Firings
from engine.store.gates import Gates
from engine.store.kept_once import KeptOnce
from engine.store.leases import Leases
from engine.store.memories import Memories
from engine.store.missions import Missions
from engine.store.model_use import ModelUse
from engine.store.placements import Placements
from engine.store.quarantine import Quarantine
from engine.store.recovery import Recovery
from engine.store.retention import Retention
from engine.store.rule_sets import RuleSets
from engine.store.trace import Trace
from engine.store.waiting import Waiting


class Store(
    Audit,
    Brakes,
    Changes,
    Checkpoints,
    Conditions,
    Deciding,
    Firings,
    Gates,
    KeptOnce,
    Memories,
    Missions,
    ModelUse,
    Outbox,
    Leases,
    Placements,
    Quarantine,
    Recovery,
    RuleSets,
    Trace,
    Retention,
    Waiting,
):
    """All that dogwatch remembers; `open` it, `close` it, use it from any thread.

    Raises (every method):
        StoreError: the database can not be reached or refuses, the disk is full, or something
            is damaged. Nothing was written then, or, where the connection was lost while the
            answer was on its way, all of it: a call that is made again finds its own rows, and
            may succeed.
    """
