"""The table of all checks of the incident-response mission, in order of reading."""

from engine.analysis.checks import (
    admission,
    ingresses,
    jobs,
    nodes,
    pod_config,
    pod_crash,
    pod_image,
    pod_memory,
    scaling,
    scheduling,
    service_ports,
    services,
    storage,
)
from engine.analysis.symptom import Check

CHECKS: tuple[Check, ...] = (
    *nodes.CHECKS,
    *scheduling.CHECKS,
    *pod_crash.CHECKS,
    *pod_memory.CHECKS,
    *pod_image.CHECKS,
    *pod_config.CHECKS,
    *services.CHECKS,
    *service_ports.CHECKS,
    *ingresses.CHECKS,
    *storage.CHECKS,
    *jobs.CHECKS,
    *scaling.CHECKS,
    *admission.CHECKS,
)
