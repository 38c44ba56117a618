"""What is told of versions: server, kubelets, APIs that go, charts and operators. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from engine.analysis import field
from engine.metrics.exposition import parse
from engine.model.watch import Object

_VERSION: Final = re.compile(r"v?(\d{1,3})\.(\d{1,4})(?:[.+-].*)?")
_CHART: Final = re.compile(r"(.{1,200}?)-v?(\d+\.\d+\.\d+.*)")
_CSV: Final = re.compile(r"(.{1,200}?)\.v?(\d+\.\d+.*)")
_DEPRECATED: Final = "apiserver_requested_deprecated_apis"
_REQUESTS: Final = "apiserver_request_total"
_API: Final = ("group", "version", "resource", "subresource")
Data = dict[str, Any]


class ChartSeen(NamedTuple):
    """What a workload says of the chart that it is of."""

    namespace: str
    release: str
    name: str
    version: str
    app_version: str


def minor(version: str) -> int | None:
    """Return the minor version of `v1.36.3` or `v1.30.5+k3s1`; None of any other text."""
    found = _VERSION.fullmatch(version)
    return int(found[2]) if found and found[1] == "1" else None


def see_kubelet(node: Object) -> tuple[str, str]:
    """View a node: its name, and the version of its kubelet."""
    return field.name_of(node), field.text(node, "status", "nodeInfo", "kubeletVersion")


def see_chart(workload: Object) -> ChartSeen | None:
    """View a workload that Helm made; None of any other."""
    labels = field.labels(workload, "metadata", "labels")
    chart = _CHART.fullmatch(labels.get("helm.sh/chart", ""))
    if chart is None or labels.get("app.kubernetes.io/managed-by") != "Helm":
        return None
    release = field.text(workload, "metadata", "annotations", "meta.helm.sh/release-name")
    return ChartSeen(
        field.namespace_of(workload),
        release or labels.get("app.kubernetes.io/instance", ""),
        chart[1],
        # A label can not hold the `+` of build metadata: Helm writes `_` for it.
        chart[2].replace("_", "+"),
        labels.get("app.kubernetes.io/version", ""),
    )


def of_server(version: str) -> Data:
    """Return what is told of the API server."""
    return {"kind": "server", "name": "kube-apiserver", "version": version}


def of_kubelet(node: str, version: str) -> Data:
    """Return what is told of the kubelet of `node`."""
    data: Data = {"kind": "kubelet", "name": node, "node": node, "version": version}
    found = minor(version)
    return data if found is None else {**data, "minor": found}


def of_chart(seen: ChartSeen) -> Data:
    """Return what is told of a chart that is installed."""
    data = {
        "kind": "chart",
        "namespace": seen.namespace,
        "name": seen.name,
        "version": seen.version,
        "release": seen.release,
        "appVersion": seen.app_version,
    }
    return {name: value for name, value in data.items() if value}


def of_release(secret: Object, helm: Mapping[str, str]) -> Data:
    """Return what is told of a release by its Secret, of which `helm` is the view."""
    return {"kind": "chart", "namespace": field.namespace_of(secret), **helm}


def of_apis(page: str, at: datetime) -> Iterator[Data]:
    """Yield what is told of each deprecated API that the API server says was asked for.

    `removedMinor` is missing where no release is to remove it. Raises MetricsError (too-large).
    """
    asked = parse(page, at, _DEPRECATED.__eq__).series
    labels = [one.labels for one in asked if one.points[-1].value > 0]
    counts = _counts(page, at, labels)
    for one in labels:
        api = tuple(one.get(name, "") for name in _API)
        group, version, resource, subresource = api
        if not (version and resource):
            continue
        data: Data = {
            "kind": "api",
            "name": "/".join(filter(None, (group, version, resource, subresource))),
            "version": version,
        }
        removed = minor(one.get("removed_release", ""))
        if removed is not None:
            data["removedMinor"] = removed
        if api in counts:
            data["requests"] = int(counts[api])
        yield data


def _counts(
    page: str, at: datetime, labels: Iterable[Mapping[str, str]]
) -> dict[tuple[str, ...], float]:
    """Return the requests of each API of `labels`; of all others not a line is parsed."""
    named = tuple({f'resource="{one["resource"]}"' for one in labels if one.get("resource")})
    lines = [
        line
        for line in page.split("\n")
        if line.startswith(_REQUESTS) and any(name in line for name in named)
    ]
    counts: dict[tuple[str, ...], float] = {}
    for one in parse("\n".join([*lines, ""]), at, _REQUESTS.__eq__).series:
        api = tuple(one.labels.get(name, "") for name in _API)
        counts[api] = counts.get(api, 0.0) + one.points[-1].value
    return counts


def of_operators(versions: Iterable[Object], subscriptions: Iterable[Object]) -> Iterator[Data]:
    """Yield what is told of each operator of the Operator Lifecycle Manager.

    `newest` is that of its channel, where a Subscription knows it.
    """
    known = {
        _place(one, field.name_of(one)): field.text(one, "spec", "version") for one in versions
    }
    followed = {
        _place(one, field.text(one, "status", "installedCSV")): one for one in subscriptions
    }
    for place, version in known.items():
        namespace, name = place
        named = _CSV.fullmatch(name)
        data: Data = {
            "kind": "operator",
            "namespace": namespace,
            "name": named[1] if named else name,
            "version": version or (named[2] if named else ""),
        }
        if subscription := followed.get(place):
            data["name"] = field.text(subscription, "spec", "name") or data["name"]
            current = field.text(subscription, "status", "currentCSV")
            if newest := known.get((namespace, current)) or _newest(current):
                data["newest"] = newest
        yield data


def _newest(current: str) -> str:
    named = _CSV.fullmatch(current)
    return named[2] if named else ""


def _place(obj: Object, name: str) -> tuple[str, str]:
    return field.namespace_of(obj), name
