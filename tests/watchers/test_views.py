"""Views of objects break on none: they run within the watcher of objects, which feeds all."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.model.watch import Object
from watchers import gpu_claims
from watchers.gpu_places import see_node, see_pod
from watchers.helm_releases import see_release
from watchers.version_facts import of_operators, see_chart, see_kubelet

NAMES = [
    "metadata", "name", "namespace", "labels", "annotations", "spec", "status", "phase", "nodeName",
    "containers", "initContainers", "restartPolicy", "resources", "limits", "requests", "image",
    "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "allocatable", "addresses", "address", "podIP",
    "resourceClaims", "resourceClaimStatuses", "resourceClaimName", "nodeInfo", "kubeletVersion",
    "helm.sh/chart", "app.kubernetes.io/managed-by", "meta.helm.sh/release-name", "driver", "pool",
    "generation", "devices", "basic", "attributes", "capacity", "memory", "value", "uuid", "string",
    "allocation", "results", "device", "reservedFor", "resource", "uid", "exactly",
    "deviceClassName", "firstAvailable", "installedCSV", "currentCSV", "version", "data", "release",
]  # fmt: skip
TEXTS = ["", "Helm", "web-1.0.0", "gpu.nvidia.com", "1", "-1", "9e99", "junk", "v1.31.0", "Pending"]
leaves = st.sampled_from(TEXTS) | st.none() | st.booleans() | st.integers() | st.floats()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def read_slices(obj: Object) -> object:
    return gpu_claims.devices([obj])


def read_claims(obj: Object) -> object:
    return gpu_claims.claims([obj])


def read_operators(obj: Object) -> object:
    return list(of_operators([obj], [obj]))


VIEWS: tuple[Callable[[Object], Any], ...] = (
    see_node, see_pod, see_kubelet, see_chart, see_release,
    read_slices, read_claims, read_operators,
)  # fmt: skip


@given(objects)
def test_no_object_breaks_a_view(obj: Object) -> None:
    for view in VIEWS:
        view(obj)


def test_a_pod_that_asks_for_absurd_amounts_asks_for_none() -> None:
    for amount in ("1e999", "-5", "1e400", "NaN", "99999999999"):
        container = {"resources": {"limits": {"nvidia.com/gpu": amount}}}
        assert see_pod({"spec": {"containers": [container]}, "metadata": {}}) is None, amount
