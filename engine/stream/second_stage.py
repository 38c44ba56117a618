"""The second stage: what firings of the first stage become, as signals of no single cluster.

They are made and folded in the step that found them, so that the same log gives the same ones;
nothing of them is on the bus. Their time never goes back: it is that of the newest one at least.
"""

from typing import Any, Final

from engine.model.firing import State, Transition
from engine.model.instant import from_us
from engine.model.signal import ENVELOPE, Signal
from engine.rules.rule import Rule
from engine.stream.account import Turn

SECOND: Final = ""
"""The name of the fold of the second stage, where others have that of a cluster."""
GONE: Final = frozenset({"resolved", "healthy"})
"""States of a condition that end it."""
_TOLD: Final = frozenset({State.FIRING, State.RESOLVED})
_NAMES: Final = frozenset(ENVELOPE) - {"labels", "value"}


def condition(told: Transition, cluster: str, rule: Rule | None, at: int) -> Signal | None:
    """Return the condition signal of a transition at the instant `at`, None where it is none.

    The opening has the id of the firing. `rule` is None for one that was removed.
    """
    if told.state not in _TOLD:
        return None
    opens = told.state is State.FIRING
    named: dict[str, Any] = {
        name.removeprefix("signal.data."): value for name, value in told.key.items()
    }
    data = {name: value for name, value in named.items() if name in _NAMES}
    if told.node:
        data.setdefault("node", told.node)
    data |= {
        "rule": told.rule,
        "state": told.state.value,
        "firing": told.firing,
        "key": dict(told.key),
        "cluster": cluster,
        "labels": dict(rule.labels) if rule else {},
        "reason": told.reason,
        "value": dict(told.value),
        "members": list(told.members),
        "depth": told.depth + 1,
        "shadow": rule is not None and rule.mode == "shadow",
    }
    identity = told.firing if opens else f"{told.firing}/{told.state.value}"
    return _signal("condition", identity, cluster, at, data)


def health(turn: Turn, rule: Rule | None, at: int) -> Signal:
    """Return the condition signal of a rule that became degraded in a cluster, or healthy."""
    state = "degraded" if turn.error else "healthy"
    data = {
        "rule": turn.rule,
        "state": state,
        "firing": "",
        "key": {"cluster": turn.cluster},
        "cluster": turn.cluster,
        "labels": dict(rule.labels) if rule else {},
        "reason": turn.error,
        "value": {},
        "members": [],
        "depth": 0,
        "shadow": rule is not None and rule.mode == "shadow",
    }
    identity = f"{turn.rule}/{turn.cluster}/{state}@{turn.at}"
    return _signal("condition", identity, turn.cluster, at, data)


def joined(cluster: str, at: int) -> Signal:
    """Return the signal of a cluster of which nothing was known before."""
    data = {"cluster": cluster, "change": "joined"}
    return _signal("cluster", f"{cluster}/joined@{at}", cluster, at, data)


def _signal(kind: str, identity: str, cluster: str, at: int, data: dict[str, Any]) -> Signal:
    source = f"dogwatch/{cluster}"
    return Signal(id=identity, source=source, type=kind, time=from_us(at), data=data)
