"""Whether the logs of crashing containers were there to read: without them causes are weaker."""

from collections.abc import Iterator

from engine.analysis.checks.pod_crash import crashing
from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import name_of, namespace_of
from engine.analysis.symptom import Check, Found
from engine.analysis.text import clean

_SHOWN = 3


def logs_missing(view: ClusterView) -> Iterator[Found]:
    """Yield one unknown for all crashing containers whose log was not read."""
    unread = [
        clean(f"{namespace_of(pod)}/{name_of(pod)}/{container.name}")
        for pod, container in crashing(view)
        if all(view.log(pod, container.name, previous=p) is None for p in (True, False))
    ]
    if unread:
        shown = ", ".join(unread[:_SHOWN]) + (" ..." if len(unread) > _SHOWN else "")
        yield view.unknown(
            f"logs of {len(unread)} crashing containers: {shown}",
            "no log of these was read; the cause rests on exit codes and events",
        )


CHECKS = (Check("pod-log", "logs of crashing containers", logs_missing, ("pods",), "Pod"),)
