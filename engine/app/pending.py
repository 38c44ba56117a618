"""What was folded and is not yet written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.model.delivery import Delivery
from engine.model.firing import Launch, Transition
from engine.store.quarantine import Quarantined


@dataclass
class Pending:
    """What was folded since the last commit."""

    next_offset: int
    records: int = 0
    signals: int = 0
    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    causes: dict[str, bytes] = field(default_factory=dict)
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def urgent(self) -> bool:
        """Whether somebody waits for this commit."""
        return bool(self.transitions or self.launches or self.deliveries or self.quarantined)
