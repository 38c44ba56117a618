"""The policy file: who may approve what, what is approved by itself, and the brakes."""

from engine.changes.policy.approving import (
    AUTOMATIC,
    Needed,
    automatic,
    judge,
    may_decide,
    may_order,
    needed,
)
from engine.changes.policy.holding import Hold, held, stopped
from engine.changes.policy.limits import Fact, facts, refused
from engine.changes.policy.load import load_policy
from engine.changes.policy.people import (
    user_named,
    user_of_email,
    user_of_slack,
    user_of_subject,
    user_of_token,
)
from engine.changes.policy.policy import Place, Policy, User
from engine.changes.policy.timing import Timing, timing

__all__ = [
    "AUTOMATIC",
    "Fact",
    "Hold",
    "Needed",
    "Place",
    "Policy",
    "Timing",
    "User",
    "automatic",
    "facts",
    "held",
    "judge",
    "load_policy",
    "may_decide",
    "may_order",
    "needed",
    "refused",
    "stopped",
    "timing",
    "user_named",
    "user_of_email",
    "user_of_slack",
    "user_of_subject",
    "user_of_token",
]
