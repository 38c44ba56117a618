"""The table of all checks of the incident-response mission, in order of reading."""

from engine.analysis.checks import scheduling
from engine.analysis.symptom import Check

CHECKS: tuple[Check, ...] = (*scheduling.CHECKS,)
