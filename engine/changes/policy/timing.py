"""How long a change waits for a decision, when it reminds, and how long it is watched. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from engine.changes.policy.config import EXPIRY, VerificationConfig
from engine.changes.policy.policy import Policy
from engine.model.change import Risk
from engine.model.change_row import ChangeRow

_EXPIRES = timedelta(hours=4)


@dataclass(frozen=True)
class Timing:
    """Seconds until a decision comes too late, and of the verification.

    `reminders` are parts of the first, ascending, each in (0, 1).
    """

    expires_s: float
    window_s: float
    reminders: tuple[float, ...]


def timing(policy: Policy, row: ChangeRow) -> Timing:
    """Return the times of the change of `row`; while its risk is not known, the shortest wait."""
    risk = Risk.LOCKOUT if row.change is None else row.change.risk
    expires = policy.file.expiry.get(risk, EXPIRY.get(risk, _EXPIRES))
    window = _window(policy.file.verification, row.draft.template, risk)
    reminders = tuple(sorted(set(policy.file.reminders)))
    return Timing(expires.total_seconds(), window.total_seconds(), reminders)


def _window(config: VerificationConfig, template: str, risk: Risk) -> timedelta:
    return config.templates.get(template, config.risks.get(risk, config.window))
