"""Sources that cannot be read: told in the log at each change, and on the page of readiness."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from engine.analysis.text import redact
from engine.model.signal import Signal
from engine.report.clean import clean
from watchers.registry import lacking

LOG = structlog.get_logger()
SHOWN: Final = 300
"""Characters of a fault that the log shows."""
_NAMED: Final = 5


@dataclass
class Faults:
    """Tells the log once when a source of `cluster` can no longer be read, and when it can again.

    What many clusters lack is no fault: the log says it as information.
    """

    cluster: str
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def note(self, signals: Iterable[Signal]) -> None:
        """Take note of what watchers tell of themselves among `signals`."""
        for one in signals:
            if one.type == "watcher":
                self._noted(one)

    def _noted(self, told: Signal) -> None:
        said = {name: clean(redact(str(text)), SHOWN) for name, text in told.data.items()}
        watcher, source = said.get("watcher", ""), said.get("resource", "")
        reason = "" if said.get("state") == "ok" else said.get("reason", "") or "unread"
        before = self._known.get((watcher, source), "")
        if reason == before:
            return
        self._known[watcher, source] = reason
        log = LOG.bind(cluster=self.cluster, watcher=watcher, source=source)
        if not reason:
            log.info("a source can be read again")
        elif lacking(watcher, source, reason):
            log.info("a cluster lacks a source", reason=reason)
        else:
            log.warning("a source cannot be read", reason=reason, message=said.get("message", ""))


def told(unread: Sequence[str]) -> str:
    """Return the sentence about sources that cannot be read, empty where there are none."""
    if not unread:
        return ""
    more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    many = "1 source" if len(unread) == 1 else f"{len(unread)} sources"
    return clean(f"{many} cannot be read: {', '.join(unread[:_NAMED])}{more}", SHOWN)
