"""What was folded and is not yet written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.model.delivery import Delivery
from engine.model.firing import Launch, Step, Transition
from engine.store.checkpoint import Commit
from engine.store.quarantine import Quarantined


@dataclass(frozen=True)
class Told:
    """Who is told of what was folded, and the labels of its rules."""

    deliveries: list[Delivery] = field(default_factory=list)
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass
class Pending:
    """What was folded since the last commit."""

    next_offset: int
    records: int = 0
    signals: int = 0
    appended_us: int = 0
    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    notices: list[Transition] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    conditions: dict[str, bytes] = field(default_factory=dict)
    causes: dict[str, bytes] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        """Add what one step found, but for its conditions and causes."""
        self.launches.extend(step.launches)
        self.transitions.extend(step.transitions)
        self.notices.extend(step.notices)

    def urgent(self) -> bool:
        """Whether somebody waits for this commit."""
        return bool(
            self.transitions or self.launches or self.notices or self.quarantined or self.conditions
        )

    def commit(self, state: Mapping[str, bytes | None], rules: str, told: Told) -> Commit | None:
        """Return the commit of this with the evaluator's `state`, None where there is nothing."""
        if not state and not self.signals and not self.urgent():
            return None
        return Commit(
            next_offset=self.next_offset,
            state=state,
            rules=rules,
            transitions=tuple(self.transitions),
            launches=tuple(self.launches),
            deliveries=told.deliveries,
            quarantined=tuple(self.quarantined),
            signals=dict(self.causes),
            labels=told.labels,
            conditions=dict(self.conditions),
            appended_us=self.appended_us,
        )
