"""The second stage: what firings of the first stage become, as signals of no single cluster.

They are made and folded in the step that found them, so that the same log gives the same ones;
nothing of them is on the bus. Their time never goes back: it is that of the newest one at least.
"""

from collections.abc import Mapping
from typing import Any, Final

from engine.model.firing import State, Transition
from engine.model.instant import from_us
from engine.model.signal import ENVELOPE, Signal
from engine.stream.account import Turn
from engine.stream.reader import Reader

SECOND: Final = ""
"""The name of the fold of the second stage, where others have that of a cluster."""
SILENT: Final = "watcher-silent"
"""In place of a rule in the conditions of watchers that are silent."""
GAP: Final = "log-gap"
"""In place of a rule in the conditions of logs that lost records."""
TOLD: Final = frozenset({State.FIRING, State.RESOLVED})
"""Moves that become conditions."""
_NAMES: Final = frozenset(ENVELOPE) - {"labels", "value"}


def condition(told: Transition, cluster: str, reader: Reader | None) -> Signal:
    """Return the signal of a firing that opened or closed; the opening has the firing's id.

    `reader` is that of its rule, None for one that was removed.
    """
    named = {name.removeprefix("signal.data."): part for name, part in told.key.items()}
    about = {name: part for name, part in named.items() if name in _NAMES}
    if told.node:
        about.setdefault("node", told.node)
    data = {
        **about,
        **_about(told.rule, cluster, reader),
        "state": told.state.value,
        "firing": told.firing,
        "key": dict(told.key),
        "reason": told.reason,
        "value": dict(told.value),
        "members": list(told.members),
        "depth": told.depth + 1,
    }
    opens = told.state is State.FIRING
    identity = told.firing if opens else f"{told.firing}/{told.state.value}"
    return _signal("condition", identity, cluster, told.at, data)


def health(turn: Turn, reader: Reader | None) -> Signal:
    """Return the signal of a rule that became degraded in a cluster, or healthy again."""
    state = "degraded" if turn.error else "healthy"
    data = {
        **_about(turn.rule, turn.cluster, reader),
        "state": state,
        "firing": "",
        "key": {"cluster": turn.cluster},
        "reason": turn.error,
        "value": {},
        "members": [],
        "depth": 0,
    }
    identity = f"{turn.rule}/{turn.cluster}/{state}@{turn.at}"
    return _signal("condition", identity, turn.cluster, turn.at, data)


def silence(cluster: str, source: str, at: int, *, silent: bool, reason: str = "") -> Signal:
    """Return the signal of a watcher that fell silent, or was heard again, or ended (`reason`)."""
    state = (State.FIRING if silent else State.RESOLVED).value
    data = {
        **_about(SILENT, cluster, None),
        "state": state,
        "firing": f"{cluster} {source}",
        "key": {"cluster": cluster, "name": source},
        "name": source,
        "reason": reason,
        "value": {},
        "members": [],
        "depth": 0,
    }
    return _signal("condition", f"{SILENT}/{cluster}/{source}/{state}@{at}", cluster, at, data)


def gap(cluster: str, at: int, wanted: int, found: int) -> tuple[Signal, Signal]:
    """Return the signals that records of the log of `cluster` are gone: it began, and it ended.

    Folding went on at the record `found` in place of `wanted`, at `at` by the clock.
    """
    why = (
        f"records {wanted} to {found - 1} are gone"
        if found > wanted
        else f"the log was replaced: it begins again at record {found}, {wanted} was next"
    )
    opening, end = (
        _signal(
            "condition",
            f"{GAP}/{cluster}/{wanted}-{found}@{at}/{state}",
            cluster,
            at,
            {
                **_about(GAP, cluster, None),
                "state": state.value,
                "firing": f"{GAP} {cluster} {wanted}-{found}@{at}",
                "key": {"cluster": cluster},
                "reason": why,
                "value": {},
                "members": [],
                "depth": 0,
            },
        )
        for state in (State.FIRING, State.RESOLVED)
    )
    return opening, end


def cluster_signal(cluster: str, change: str, at: int, about: Mapping[str, str]) -> Signal:
    """Return the signal of a cluster that joined, left or was renamed; `about` says what is known.

    It joins with the first heartbeat, or by the news of the fleet.
    """
    data = {"cluster": cluster, "change": change, **about}
    return _signal("cluster", f"{cluster}/{change}@{at}", cluster, at, data)


def _about(name: str, cluster: str, reader: Reader | None) -> dict[str, Any]:
    labels = dict(reader.rule.labels) if reader else {}
    shadow = reader is not None and reader.rule.mode == "shadow"
    identity = reader.rule.hash if reader else ""
    return {
        "rule": name,
        "hash": identity,
        "cluster": cluster,
        "labels": labels,
        "shadow": shadow,
    }


def _signal(kind: str, identity: str, cluster: str, at: int, data: dict[str, Any]) -> Signal:
    source = f"dogwatch/{cluster}"
    return Signal(id=identity, source=source, type=kind, time=from_us(at), data=data)
