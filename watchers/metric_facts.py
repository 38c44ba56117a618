"""Samples as facts of a poll, and what is made of the series that a Prometheus gives. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final, NamedTuple

from engine.model.schema_metrics import METRICS
from engine.model.series import Series
from watchers.metric_queries import About, Shipped
from watchers.placing import Places
from watchers.polling import Fact

Labels = Mapping[str, str]
_SUFFIXES: Final[Mapping[str, str]] = {
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "ratio",
    "celsius": "°C",
    "joules": "J",
    "volts": "V",
    "amperes": "A",
    "watts": "W",
}
"""Units of Prometheus by the end of the name."""
_ABOUT: Final = ("namespace", "workload", "node")
_QUANTILE: Final = 0.99


class Sample(NamedTuple):
    """One value; `labels` are those that it is told with."""

    metric: str
    labels: Labels
    value: float
    unit: str = ""

    @property
    def subject(self) -> str:
        """Metric and labels as one text."""
        labels = ",".join(f"{name}={self.labels[name]}" for name in sorted(self.labels))
        return f"{self.metric}{{{labels}}}"


def facts(samples: Iterable[Sample], source: str) -> tuple[list[Fact], list[str]]:
    """Return a fact of each sample, and the metrics that were told twice for the same labels.

    Of those no value is believed.
    """
    found: dict[str, Fact | None] = {}
    for sample in samples:
        subject = sample.subject
        found[subject] = None if subject in found else _fact(sample, subject, source)
    twice = {subject.partition("{")[0] for subject, fact in found.items() if fact is None}
    return [fact for fact in found.values() if fact is not None], sorted(twice)


def _fact(sample: Sample, subject: str, source: str) -> Fact:
    data: dict[str, Any] = {
        "metric": sample.metric,
        "labels": dict(sample.labels),
        "value": sample.value,
    }
    unit = sample.unit or unit_of(sample.metric)
    if unit:
        data["unit"] = unit
    data |= {name: sample.labels[name] for name in _ABOUT if sample.labels.get(name)}
    return Fact("metric", subject, data, source, level=False)


def unit_of(metric: str) -> str:
    """Return the unit of a metric by the schema, or by the end of its name; empty: unknown."""
    if metric in METRICS:
        return METRICS[metric].unit
    return _SUFFIXES.get(metric.removesuffix("_total").rpartition("_")[2], "")


def shipped_samples(
    metric: str, shipped: Shipped, series: Iterable[Series], places: Places
) -> list[Sample]:
    """Return what the series of a shipped expression say; those that belong nowhere are left out.

    Those about pods are for `PodUse`.
    """
    if shipped.about == "latency":
        return list(_latencies(metric, series, places))
    best: dict[tuple[str, ...], tuple[Labels, float]] = {}
    for one in series:
        labels = _LABELS[shipped.about](one.labels, places)
        if labels is None:
            continue
        key = tuple(labels.values())
        value = one.points[-1].value
        known = best.get(key)
        if known is None or (value < known[1]) == shipped.free:
            best[key] = labels, value
    return [Sample(metric, labels, max(0.0, value)) for labels, value in best.values()]


def pod_labels(namespace: str, name: str, places: Places) -> Labels | None:
    """Return the labels of a pod that is known, else None."""
    pod = places.pod(namespace, name)
    if pod is None:
        return None
    workload = places.workload(namespace, name)
    labels = {"namespace": namespace, "workload": workload, "pod": name, "node": pod.node}
    return {name: value for name, value in labels.items() if value}


class PodUse:
    """The use of one resource by pods, in cores or bytes, of each container or of whole pods."""

    def __init__(self, resource: str, places: Places) -> None:
        self._resource = resource
        self._places = places
        self._found: dict[tuple[str, str], Sample] = {}
        self._of_limit: dict[tuple[str, str], float] = {}

    def add(self, namespace: str, name: str, container: str, amount: float) -> None:
        """Take in the use of a container, an empty one: of the pod; unknown pods are left out."""
        key, pod = (namespace, name), self._places.pod(namespace, name)
        if pod is None:
            return
        known = self._found.get(key)
        if known is None:
            labels = pod_labels(namespace, name, self._places) or {}
            self._found[key] = Sample(f"pod_{self._resource}_used_ratio", labels, amount)
        else:
            self._found[key] = known._replace(value=known.value + amount)
        limit = pod.limits.get(container) if self._resource == "memory" else None
        if limit:
            self._of_limit[key] = max(self._of_limit.get(key, 0.0), amount / limit)

    def take(self, series: Iterable[Series]) -> None:
        """Take in series with the labels namespace, pod and container."""
        for one in series:
            namespace, pod = one.labels.get("namespace", ""), one.labels.get("pod", "")
            container, amount = one.labels.get("container", ""), one.points[-1].value
            self.add(namespace, pod, container, max(0.0, amount))

    @property
    def amounts(self) -> list[Sample]:
        """The amount of each pod, with the labels of pods."""
        return list(self._found.values())

    def ratios(self) -> Iterator[Sample]:
        """Yield each amount as share of the pod's request, and of the limit that is nearest."""
        for (namespace, name), sample in self._found.items():
            pod = self._places.pod(namespace, name)
            asked = pod.requests.get(self._resource) if pod else None
            if asked:
                yield sample._replace(value=sample.value / asked)
        for key, share in self._of_limit.items():
            yield Sample("pod_memory_used_of_limit_ratio", self._found[key].labels, share)


def _of_node(labels: Labels, places: Places) -> Labels | None:
    node = places.node(labels)
    return {"node": node} if node else None


def _of_mount(labels: Labels, places: Places) -> Labels | None:
    node, mount = places.node(labels), labels.get("mountpoint")
    return {"node": node, "mountpoint": mount} if node and mount else None


def _of_claim(labels: Labels, _places: Places) -> Labels | None:
    names = ("namespace", "persistentvolumeclaim")
    return {name: labels[name] for name in names} if all(map(labels.get, names)) else None


def _of_model(labels: Labels, places: Places) -> Labels | None:
    namespace, model = labels.get("namespace"), labels.get("model_name")
    workload = places.workload(namespace or "", labels.get("pod", "")) or labels.get("job")
    if not (namespace and model and workload):
        return None
    return {"namespace": namespace, "workload": workload, "model": model}


_LABELS: Final[Mapping[About, Callable[[Labels, Places], Labels | None]]] = {
    "node": _of_node,
    "mount": _of_mount,
    "claim": _of_claim,
    "model": _of_model,
}


def _latencies(metric: str, series: Iterable[Series], places: Places) -> Iterator[Sample]:
    """Yield the percentile of each workload and model, over the buckets of all its pods."""
    summed: dict[tuple[str, ...], tuple[Labels, dict[float, float]]] = {}
    for one in series:
        labels, end = _of_model(one.labels, places), _end(one.labels.get("le", ""))
        if labels is None or end is None:
            continue
        _, buckets = summed.setdefault(tuple(labels.values()), (labels, {}))
        buckets[end] = buckets.get(end, 0.0) + one.points[-1].value
    for labels, buckets in summed.values():
        value = quantile(buckets, _QUANTILE)
        if value is not None:
            yield Sample(metric, labels, value)


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the quantile of a histogram, by linear interpolation within a bucket.

    Where it lies in the last bucket, which has no end, the end of the one before is what is known:
    it is at least that. None without observations, and without a last bucket.

    Args:
        buckets: cumulated counts or rates by upper end; the last end is infinite.
        share: of [0, 1].
    """
    ends = sorted(buckets)
    if len(ends) < 2 or ends[-1] != inf or not buckets[inf] > 0:  # noqa: PLR2004
        return None
    rank = share * buckets[inf]
    start = below = 0.0
    for end in ends:
        reached = max(buckets[end], below)  # pods that come and go let rates shrink a little
        if reached >= rank and reached > below:
            return (
                start if end == inf else start + (end - start) * (rank - below) / (reached - below)
            )
        start, below = end, reached
    return ends[-2]


def _end(text: str) -> float | None:
    try:
        end = float(text)
    except ValueError:
        return None
    return None if end != end else end  # noqa: PLR0124 - NaN is no end
