"""What of others' data was refused: all of it counted, of each reason one line a minute."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from engine import meters
from engine.model.ports import Clock
from engine.report.clean import clean

LOG = structlog.get_logger()
EVERY: Final = timedelta(minutes=1)
"""How often one reason is logged: a flood of garbage is one line a minute."""
_SHOWN: Final = 200


@dataclass
class Told:
    """Counts and logs what was refused; reasons are a few words, never data of the sender."""

    clock: Clock
    _since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _untold: Counter[tuple[str, str]] = field(default_factory=Counter)

    def refused(self, receiver: str, reason: str, detail: str) -> None:
        """Count one part that was refused; log it if nothing like it was for a minute."""
        meters.RECEIVER_REFUSED.labels(receiver, reason).inc()
        key, now = (receiver, reason), self.clock.now()
        last = self._since.get(key)
        if last is not None and now - last < EVERY:
            self._untold[key] += 1
            return
        self._since[key] = now
        LOG.warning(
            "refused",
            receiver=receiver,
            reason=reason,
            detail=clean(detail, _SHOWN),
            before=self._untold.pop(key, 0),
        )
