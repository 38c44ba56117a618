"""dogwatch's own metrics as signals, so that rules watch dogwatch as they watch clusters."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import structlog

from engine import meters
from engine.app.engine import Engine
from engine.app.ingesting import Watching
from engine.app.opening import exclusive
from engine.app.roles import Role
from engine.model.errors import StoreError
from engine.model.schema_metrics import METRICS, OWN_CLUSTER
from engine.model.signal import Signal

LOG = structlog.get_logger()
EVERY_S: Final = 15.0
_RULES: Final = "dogwatch_config_last_reload_successful"
_POLICY: Final = "dogwatch_policy_last_reload_successful"
_FROZEN: Final = "dogwatch_frozen"
_STALENESS: Final = "dogwatch_watch_staleness_seconds"
_OLDEST: Final = "dogwatch_outbox_oldest_seconds"
_REFUSED: Final = "dogwatch_receiver_refused_total"
_MEASURED: Final = {
    Role.WORKER: ("dogwatch_consumer_lag_records", _RULES),
    Role.RUNNER: (_OLDEST, _RULES, _POLICY, _FROZEN),
    Role.WATCHER: (_STALENESS, _REFUSED),
    Role.WEB: (_POLICY, _REFUSED),
}
"""What a process of each role measures; elsewhere a gauge is a zero that says nothing."""


async def publish_own(engine: Engine, watchings: Sequence[Watching]) -> None:
    """Append what this process measures of itself to the bus, every 15 s, for ever."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await publish_once(engine, watchings)
        except StoreError as error:
            # The gauges of a scrape say more; a gap is a gap.
            LOG.warning("own metrics not published", error=str(error))


async def publish_once(engine: Engine, watchings: Sequence[Watching]) -> None:
    """Measure, and append to the bus what was measured. Raises StoreError."""
    await _measure(engine, watchings)
    if told := list(own_signals(engine, watchings, engine.clock.now())):
        await engine.bus.append(told)


def own_signals(engine: Engine, watchings: Sequence[Watching], now: datetime) -> Iterator[Signal]:
    """Yield a `metric` signal of each of the gauges that this process measures now.

    Their cluster is one that no configuration can name. Where several processes share the work,
    a label says which one it is.
    """
    names = {name for role in engine.roles for name in _MEASURED.get(role, ())}
    if not engine.settings.changes.policy_file:
        names.discard(_POLICY)
    told = {} if exclusive(engine.settings) else {"process": engine.process}
    measured = _measured(engine, watchings)
    source = f"dogwatch/{engine.process}"
    for name, labels, value in _readings(names):
        if not measured(name, labels) or not math.isfinite(value):
            continue
        all_labels = {**labels, **told}
        subject = f"{name}{{{','.join(f'{n}={v}' for n, v in sorted(all_labels.items()))}}}"
        yield Signal(
            id=f"{source}/{subject}@{now.isoformat()}",
            source=source,
            type="metric",
            subject=subject,
            time=now,
            cluster=OWN_CLUSTER,
            data={"metric": name, "labels": all_labels, "value": value, **_unit(name)},
        )


def _unit(name: str) -> dict[str, str]:
    unit = METRICS[name].unit
    return {"unit": unit} if unit else {}


async def _measure(engine: Engine, watchings: Sequence[Watching]) -> None:
    """Set the gauges that are set nowhere else until somebody asks."""
    for watching in watchings:
        if engine.leases.holds(watching.lease):
            watching.measure()
    if Role.RUNNER in engine.roles:
        freezes = await asyncio.to_thread(engine.store.freezes, engine.clock.now())
        meters.FROZEN.set(bool(freezes))


def _measured(
    engine: Engine, watchings: Sequence[Watching]
) -> Callable[[str, dict[str, str]], bool]:
    """Return what says whether a reading is of this process now, not what is left of another time.

    A sink and a cluster are seen to by the process that holds the lease.
    """
    leases = {one.config.name: one.lease for one in watchings}

    def measured(name: str, labels: dict[str, str]) -> bool:
        if name == _OLDEST:
            sink = labels["sink"]
            return sink in engine.couriers and engine.leases.holds(f"sink/{sink}")
        if name == _STALENESS:
            lease = leases.get(labels["cluster"])
            return lease is not None and engine.leases.holds(lease)
        return True

    return measured


def _readings(names: set[str]) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in meters.REGISTRY.restricted_registry(sorted(names)).collect():
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
