"""Foreseen: what a prediction says, as data of its signal. Pure."""

from collections.abc import Mapping, Sequence
from math import floor, isnan
from typing import Any, NamedTuple

from engine.analysis.robust import median
from engine.analysis.season import Oddness
from watchers.aims import Aim, Labels, about, odd, toward
from watchers.restarting import Faster


class Foreseen(NamedTuple):
    """One prediction: `subject` is unique among those of one look."""

    subject: str
    data: dict[str, Any]


class What(NamedTuple):
    """The series that a prediction is about."""

    subject: str
    metric: str
    aim: Aim
    labels: Labels
    latest: float


def reaches(what: What, slope: float, horizon_s: float, sure: float) -> Foreseen:
    """Say that a series reaches its limit in `horizon_s` seconds; `slope` for each second."""
    said = toward(what.metric, what.aim, what.latest, slope, horizon_s)
    return _toward(what, horizon_s, sure, {"slope": slope, "message": said})


def is_beyond(what: What, sure: float) -> Foreseen:
    """Say that a series is beyond its limit already."""
    said = f"{what.aim.words}: {what.latest * 100:.0f} %, and so for most of the last hour"
    return _toward(what, 0.0, sure, {"message": said})


def is_odd(
    subject: str, series: tuple[str, Labels], value: float, recent: Sequence[float], found: Oddness
) -> Foreseen:
    """Say that the `value` of a workload is unusual; `series` is its metric and labels."""
    metric, labels = series
    usual = median([one for one in recent if not isnan(one)])
    data = {
        "prediction": "anomaly",
        "metric": metric,
        "labels": dict(labels),
        **about(labels),
        "value": value,
        "score": round(found.score, 2),
        "confidence": shown(found.confidence),
        "message": odd(metric, value, usual, found.score),
    }
    return Foreseen(f"anomaly/{subject}", data)


def restarts(found: Faster) -> Foreseen:
    """Say that a pod restarts ever faster."""
    count = float(found.data["restarts"])
    data = {
        "prediction": "pod-crash",
        "metric": "restarts",
        "labels": {},
        "kind": "Pod",
        **{name: found.data[name] for name in ("namespace", "name", "workload", "node")},
        "value": count,
        "limit": count + 1,
        "horizon": float(round(found.horizon_s)),
        "confidence": shown(found.confidence),
        "message": found.message,
    }
    return Foreseen(f"pod-crash/restarts/{found.uid}", data)


def shown(confidence: float) -> float:
    """Return a confidence to two digits, never more than it is."""
    return floor(confidence * 100) / 100


def named(metric: str, labels: Labels) -> str:
    """Return the name of a series: metric and labels as one text."""
    names = ",".join(f"{name}={labels[name]}" for name in sorted(labels))
    return f"{metric}{{{names}}}"


def _toward(what: What, horizon_s: float, sure: float, more: Mapping[str, Any]) -> Foreseen:
    data: dict[str, Any] = {
        "prediction": what.aim.prediction,
        "metric": what.metric,
        "labels": dict(what.labels),
        **about(what.labels),
        "value": what.latest,
        "limit": what.aim.limit,
        "horizon": float(round(horizon_s)),
        "confidence": shown(sure),
        **more,
    }
    return Foreseen(f"{what.aim.prediction}/{what.subject}", data)
