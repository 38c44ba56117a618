"""Why something happened, as values: metric labels, and sentences for a person."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Why a transition happened or a mission was held back."""

    THRESHOLD = "threshold"
    HOLD = "hold"
    STORM = "storm"
    CLEARED = "cleared"
    SEQUENCE = "sequence"
    ABSENT = "absent"
    CORRELATED = "correlated"
    SCHEDULE = "schedule"
    NO_DATA = "no data"
    DELETED = "deleted"
    INHIBITED = "inhibited"
    MUTED = "muted"
    COOLDOWN = "cooldown"
    DUPLICATE = "duplicate"
    RATE_LIMIT = "rate limit"
    TOO_DEEP = "too deep"
    SHADOW = "shadow"
    REPEAT = "repeat"
    RULE_CHANGED = "rule changed"
    RULE_REMOVED = "rule removed"
    CLUSTER_LEFT = "cluster left"
    CLUSTER_RENAMED = "cluster renamed"
    CLUSTER_RECREATED = "cluster re-created"


SENTENCES: Final = MappingProxyType(
    {
        Reason.THRESHOLD: "a signal made the condition true",
        Reason.HOLD: "the condition was true for as long as `for` asks",
        Reason.STORM: "more keys than `max_keys` allows; the new ones share one firing",
        Reason.CLEARED: "the condition was false, and `keep_firing_for` (if any) over",
        Reason.SEQUENCE: "the steps of the sequence came, or its last one stayed away",
        Reason.ABSENT: "nothing was heard of the key for as long as `within` allows",
        Reason.CORRELATED: "the firings that the rule names in `correlate` came together",
        Reason.SCHEDULE: "the condition was true at an instant of the schedule",
        Reason.NO_DATA: "no signal came for `stale_after`",
        Reason.DELETED: "the last that made the condition true was deleted, or is over",
        Reason.INHIBITED: "a rule named in `inhibited_by` was firing for the same labels",
        Reason.MUTED: "a time interval named in `mute_during` held",
        Reason.COOLDOWN: "the last mission of this key was launched less than `cooldown` before",
        Reason.DUPLICATE: "one of the same `dedup_key` was launched less than `cooldown` before",
        Reason.RATE_LIMIT: "the rule launched `max_per_hour` missions in the hour before",
        Reason.TOO_DEEP: "five missions lead to it, each by the end of the one before",
        Reason.SHADOW: "the rule is in shadow mode: it launches and tells nothing",
        Reason.REPEAT: "the firing goes on; `repeat` asks for a reminder",
        Reason.RULE_CHANGED: "the rule was edited, so its state began anew",
        Reason.RULE_REMOVED: "the rule was removed or disabled",
        Reason.CLUSTER_LEFT: "the cluster left: neither configuration nor discovery names it",
        Reason.CLUSTER_RENAMED: "the cluster has another name now, under which all is told anew",
        Reason.CLUSTER_RECREATED: "the cluster was made anew under the same name",
    }
)


def explain(reason: str) -> str:
    """Return the sentence for `reason`; an unknown word stands for itself."""
    return SENTENCES.get(Reason(reason), reason) if reason in set(Reason) else reason
