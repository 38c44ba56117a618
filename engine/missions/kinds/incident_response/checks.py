"""The table of all checks of the incident-response mission, in order of reading."""

from engine.analysis.checks import pod_config, pod_crash, pod_image, pod_memory
from engine.analysis.symptom import Check

CHECKS: tuple[Check, ...] = (
    *pod_crash.CHECKS,
    *pod_memory.CHECKS,
    *pod_image.CHECKS,
    *pod_config.CHECKS,
)
