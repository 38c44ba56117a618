"""GPUs: what is told of them, whose they are, and that a gap is a gap."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.errors import ClusterError, MetricsError
from engine.model.schema import data_shape
from engine.model.schema_metrics import METRICS
from engine.model.series import Point, Series
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Change, ChangeType
from tests.watchers.gpus import (
    H100,
    Gauges,
    a_line,
    a_node,
    a_pod,
    devices,
    metrics,
    seen,
    told,
    util,
)
from tests.watchers.sources import NOON
from watchers.gpu_series import NAMES, gpus
from watchers.gpu_use import used
from watchers.memory import Forgetful

WHOLE = "".join(
    [
        util(40),
        a_line("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.35),
        a_line("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.25),
        a_line("DCGM_FI_DEV_FB_USED", 1024),
        a_line("DCGM_FI_DEV_FB_FREE", 3072),
        a_line("DCGM_FI_DEV_POWER_USAGE", 310.5),
        a_line("DCGM_FI_DEV_GPU_TEMP", 61),
        a_line("DCGM_FI_DEV_XID_ERRORS", 0),
        a_line("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 3),
        a_line("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 1),
        a_line("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 2),
        a_line("DCGM_FI_DEV_ROW_REMAP_FAILURE", 0),
        a_line("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", 0x1 | 0x4 | 0x40),
        a_line("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 2),
        a_line("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", 3),
        a_line("DCGM_FI_PROF_NVLINK_TX_BYTES", 100),
        a_line("DCGM_FI_PROF_NVLINK_RX_BYTES", 50),
    ]
)


def one(*pages: str | Exception, objects: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    (found,) = devices(told(Gauges(*pages), a_node(), *objects))
    return found


def test_a_gpu_tells_its_use_health_and_place_in_the_units_of_the_schema() -> None:
    assert one(WHOLE) == {
        "kind": "gpu",
        "name": "gpu-0",
        "uid": "GPU-0",
        "node": "n1",
        "model": H100,
        "labels": {"pool": "gpus"},
        "utilization": 40.0,
        "engineActive": 35.0,
        "tensorActive": 25.0,
        "memoryUsed": 1024.0 * 2**20,
        "memoryTotal": 4096.0 * 2**20,
        "power": 310.5,
        "temperature": 61.0,
        "xid": 0,
        "eccCorrectable": 3,
        "eccUncorrectable": 1,
        "remappedRows": 2,
        "rowRemapFailed": False,
        "throttled": ["power-cap", "thermal-hardware"],
        "nvlinkErrors": 5,
        "nvlinkRate": 150.0,
    }


def test_what_is_told_is_what_the_schema_declares() -> None:
    pod = a_pod("train-0", gpus="1")
    signals = told(Gauges(util(40, pod="train-0", namespace="ml") + WHOLE), a_node(), pod)
    shape = data_shape("hardware", ["gpu"]).fields
    assert {name for data in devices(signals) for name in data} <= set(shape)
    assert {name.partition("/")[0] for name in metrics(signals)} <= set(METRICS)


def test_all_metrics_of_all_gpus_are_asked_for_at_once() -> None:
    gauges = Gauges("".join(util(10, n) for n in range(100)))
    assert len(devices(told(gauges, a_node()))) == 100
    (asked,) = gauges.asked
    assert all(name in asked for name in NAMES)


def test_where_the_answer_is_too_large_it_is_asked_for_in_parts_from_then_on() -> None:
    gauges = Gauges(MetricsError("too-large", "50 MiB"), util(40))
    signals = told(gauges, a_node(), seconds=40)
    assert {data["utilization"] for data in devices(signals)} == {40.0}
    assert [one for one in signals if one.type == "watcher"] == []
    whole, *parts = gauges.asked
    assert len(whole) > max(map(len, parts)) * 3
    first, second = parts[:4], parts[4:8]
    assert first == second
    assert all(any(f"{name}" in part for part in first) for name in NAMES)


def test_a_gpu_is_told_at_each_look_though_nothing_changes() -> None:
    assert len(devices(told(Gauges(util(0)), a_node(), seconds=290))) in {10, 11}


def test_what_an_exporter_does_not_tell_is_left_out() -> None:
    found = one(util(40) + a_line("DCGM_FI_DEV_GPU_TEMP", "NaN"))
    assert "utilization" in found
    assert not {"temperature", "xid", "power", "memoryTotal", "throttled"} & set(found)


@pytest.mark.parametrize(
    ("metric", "blank"),
    [
        ("DCGM_FI_DEV_GPU_TEMP", 2147483632),
        ("DCGM_FI_DEV_GPU_TEMP", -1),
        ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 9223372036854775794),
        ("DCGM_FI_DEV_POWER_USAGE", 140737488355328.0),
        ("DCGM_FI_DEV_XID_ERRORS", 2147483632),
        ("DCGM_FI_DEV_FB_USED", 2147483632),
        ("DCGM_FI_DEV_GPU_UTIL", 101),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.5),
    ],
)
def test_a_value_that_cannot_be_is_a_gap(metric: str, blank: float) -> None:
    tensor = a_line("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0)
    found = one(tensor + a_line(metric, blank))
    assert {n for n, v in found.items() if isinstance(v, float | int)} == {"tensorActive"}


def test_engine_activity_stands_for_use_where_only_that_is_told() -> None:
    assert one(a_line("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.35))["utilization"] == 35.0


def test_names_of_newer_exporters_are_known_too() -> None:
    page = a_line("DCGM_FI_DEV_ROW_REMAP_FAILED", 1) + a_line(
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 0x20
    )
    found = one(page)
    assert (found["rowRemapFailed"], found["throttled"]) == (True, ["thermal"])


# who holds it


DEPLOYMENT = {"kind": "Deployment", "name": "train", "uid": "u1", "controller": True}
OWNED: dict[str, Any] = {"metadata": {"namespace": "ml", "ownerReferences": [DEPLOYMENT]}}
TRAIN = a_pod("train-0", gpus="1", **OWNED)
EXPORTER = a_pod("dcgm-exporter-x", image="dcgm-exporter:4", status={"podIP": "10.1.0.7"})


@pytest.mark.parametrize(
    "labels",
    [
        {"pod": "train-0", "namespace": "ml"},
        {"exported_pod": "train-0", "exported_namespace": "ml", "pod": "dcgm-exporter-x"},
        {"pod_name": "train-0", "pod_namespace": "ml", "pod": "dcgm-exporter-x"},
    ],
)
def test_the_pod_that_holds_a_gpu_is_named_with_its_workload(labels: dict[str, str]) -> None:
    found = one(util(40, **labels), objects=(TRAIN, EXPORTER))
    assert (found["namespace"], found["pod"], found["workload"]) == ("ml", "train-0", "train")


def test_the_exporter_itself_holds_no_gpu() -> None:
    page = util(40, pod="dcgm-exporter-x", namespace="ml") + util(
        40, 1, exported_pod="train-0", exported_namespace="ml", pod="dcgm-exporter-x"
    )
    first, second = devices(told(Gauges(page), a_node(), TRAIN, EXPORTER))
    assert (first["pod"], first["workload"]) == ("", "")
    assert second["pod"] == "train-0"


def test_where_no_series_names_a_pod_nobody_is_said_to_hold_a_gpu_or_not_to() -> None:
    assert "pod" not in one(util(40), objects=(TRAIN,))


def test_a_gpu_that_pods_share_is_told_once_with_all_of_them() -> None:
    other = a_pod("train-1", gpus="1")
    page = util(40, pod="train-0", namespace="ml") + util(40, pod="train-1", namespace="ml")
    found = one(page, objects=(TRAIN, other))
    assert found["pods"] == ["ml/train-0", "ml/train-1"]
    assert "pod" not in found


def test_a_pod_that_is_not_there_any_more_holds_nothing() -> None:
    page = util(40, pod="gone", namespace="ml") + util(40, 1, pod="train-0", namespace="ml")
    first, _ = devices(told(Gauges(page), a_node(), TRAIN))
    assert first["pod"] == ""


# where it is


@pytest.mark.parametrize(
    "labels",
    [
        {"Hostname": "n1"},
        {"Hostname": "", "node": "n1"},
        {"Hostname": "n1.example.com"},
        {"Hostname": "dcgm-exporter-x", "namespace": "ml"},
        {"Hostname": "", "pod": "dcgm-exporter-x", "namespace": "ml"},
        {"Hostname": "", "instance": "10.1.0.7:9400"},
        {"Hostname": "", "instance": "10.0.0.1:9400"},
    ],
)
def test_its_node_is_found_by_name_address_or_the_pod_of_its_exporter(
    labels: dict[str, str],
) -> None:
    hostname = {"addresses": [{"address": "n1.example.com"}, {"address": "10.0.0.1"}]}
    signals = told(Gauges(util(40, **labels)), a_node(status=hostname), EXPORTER)
    assert [data["node"] for data in devices(signals)] == ["n1"]


def test_a_gpu_of_no_node_of_this_cluster_is_left_out_and_counts_nowhere() -> None:
    signals = told(Gauges(util(0, Hostname="elsewhere") + util(80, 1)), a_node())
    assert [data["uid"] for data in devices(signals)] == ["GPU-1"]
    assert metrics(signals)["gpu_cluster_used_ratio"] == 0.8


def test_where_nodes_are_not_known_the_name_that_is_told_is_taken() -> None:
    signals = told(Gauges(util(40, Hostname="n7")), whole=False)
    assert [data["node"] for data in devices(signals)] == ["n7"]
    assert set(metrics(signals)) == {"gpu_cluster_used_ratio", f"gpu_model_used_ratio/{H100}"}


# instances


def an_instance(metric: str, value: object, number: str, profile: str, **labels: str) -> str:
    return a_line(metric, value, GPU_I_ID=number, GPU_I_PROFILE=profile, **labels)


def test_an_instance_is_a_device_of_its_own_and_the_board_keeps_its_health() -> None:
    page = "".join(
        an_instance("DCGM_FI_PROF_GR_ENGINE_ACTIVE", use, number, profile)
        + an_instance("DCGM_FI_DEV_FB_USED", 10, number, profile)
        + an_instance("DCGM_FI_DEV_GPU_TEMP", 61, number, profile)
        + an_instance("DCGM_FI_DEV_XID_ERRORS", 79, number, profile)
        + an_instance("DCGM_FI_DEV_GPU_UTIL", 90, number, profile)
        for use, number, profile in ((0.5, "1", "3g.40gb"), (0.1, "2", "4g.40gb"))
    )
    page += util(90)
    signals = told(Gauges(page), a_node())
    board, first, second = devices(signals)
    assert (board["name"], board["uid"], board["xid"]) == ("gpu-0", "GPU-0", 79)
    assert board["temperature"] == 61.0
    assert not {"utilization", "memoryUsed", "pod"} & set(board)
    assert (first["name"], first["uid"]) == ("gpu-0/mig-1", "GPU-0/mig-1")
    assert (first["utilization"], second["utilization"]) == (50.0, 10.0)
    assert not {"xid", "temperature"} & set(first)
    mean = metrics(signals)["gpu_cluster_used_ratio"]
    assert mean == pytest.approx((3 * 0.5 + 4 * 0.1) / 7)


def test_an_instance_names_the_pod_that_holds_it() -> None:
    labels = {"pod": "train-0", "namespace": "ml"}
    page = an_instance("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.5, "1", "1g.10gb", **labels)
    assert one(page, objects=(TRAIN,))["pod"] == "train-0"


# gaps, restarts, doubles


def ends(signals: list[Signal]) -> dict[str, float]:
    return {
        one.data["uid"]: (one.time - NOON).total_seconds()
        for one in signals
        if one.data.get("change") == "deleted"
    }


def test_a_gpu_of_which_nothing_is_told_is_a_gap_and_no_end() -> None:
    signals = told(Gauges(util(40), "", "", util(50)), a_node(), seconds=150)
    assert ends(signals) == {}
    assert [data["utilization"] for data in devices(signals)][:2] == [40.0, 50.0]


def test_a_gpu_is_over_after_it_was_missed_for_an_hour() -> None:
    signals = told(Gauges(util(40), ""), a_node(), seconds=4000)
    (at,) = ends(signals).values()
    assert 3600 <= at <= 3700


def test_a_gpu_is_over_with_its_node() -> None:
    gone = Change(ChangeType.DELETED, a_node())
    signals = told(Gauges(util(40), ""), a_node(), a_node("n2"), seconds=150, then={70: [gone]})
    (at,) = ends(signals).values()
    assert 70 <= at <= 101


def test_a_source_that_is_down_ends_nothing_and_is_told_once() -> None:
    down = MetricsError("unreachable", "no route")
    signals = told(Gauges(util(40), down), a_node(), seconds=8000)
    assert ends(signals) == {}
    assert len(devices(signals)) == 1
    states = [one.data["state"] for one in signals if one.type == "watcher"]
    assert states == ["unread"]
    assert max(one.time for one in signals if one.type == HEARTBEAT).hour == 12


def test_what_vanished_during_a_restart_is_a_gap_too() -> None:
    memory = Forgetful()
    told(Gauges(util(40) + util(40, 1)), a_node(), memory=memory)
    assert ends(told(Gauges(util(40)), a_node(), seconds=600, memory=memory)) == {}
    assert set(ends(told(Gauges(util(40)), a_node("n2"), memory=memory))) == {"GPU-0", "GPU-1"}


def test_an_answer_that_is_not_whole_is_used_and_told() -> None:
    partial = MetricsError("unavailable", "one store is down", partial=seen(util(70)))
    signals = told(Gauges(partial), a_node())
    assert [data["utilization"] for data in devices(signals)] == [70.0]
    assert [one.data["reason"] for one in signals if one.type == "watcher"] == ["unavailable"]


def test_two_exporters_of_a_node_tell_of_each_gpu_once_and_of_one_moment() -> None:
    page = "".join(
        util(use, instance=instance)
        + a_line("DCGM_FI_DEV_FB_USED", use, instance=instance)
        + a_line("DCGM_FI_DEV_FB_FREE", 100 - use, instance=instance)
        for use, instance in ((40, "a:9400"), (60, "b:9400"))
    )
    found = one(page)
    assert (found["utilization"], found["memoryTotal"]) == (40.0, 100.0 * 2**20)
    assert metrics(told(Gauges(page), a_node()))["gpu_cluster_used_ratio"] == 0.4


def test_counters_that_begin_anew_are_told_as_they_are() -> None:
    pages = [a_line("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", value) for value in (7, 0, 1)]
    signals = told(Gauges(*pages), a_node(), seconds=90)
    assert [data["eccCorrectable"] for data in devices(signals)][:3] == [7, 0, 1]


HOSTILE = ["", "x" * 500, "GPU-\\n1", "GPU-\\u0007"]


@pytest.mark.parametrize("uuid", HOSTILE)
def test_a_series_without_a_sane_uuid_is_left_out(uuid: str) -> None:
    page = util(1, UUID=uuid) + util(40, 1)
    if uuid.startswith("GPU-\\u"):
        page = page.replace(uuid, "GPU-\x07")
    assert [data["uid"] for data in devices(told(Gauges(page), a_node()))] == ["GPU-1"]


def test_hostile_labels_cost_nothing_but_themselves() -> None:
    bad = {
        "UUID": "GPU-7",
        "device": "",
        "modelName": "",
        "GPU_I_PROFILE": "999g",
        "pod": "\\\\",
    }
    page = util(40, **bad).replace('gpu="0"', 'gpu="../../etc"')
    found = one(page, objects=(TRAIN,))
    assert (found["name"], found["utilization"]) == ("gpu-7", 40.0)
    assert "model" not in found


LABELS = ["UUID", "uuid", "gpu", "device", "GPU_I_ID", "GPU_I_PROFILE", "Hostname", "pod", "job"]


@given(
    st.lists(
        st.builds(
            lambda name, labels, value: Series(name, labels, (Point(NOON, value),)),
            st.sampled_from([*sorted(NAMES), "up", ""]),
            st.dictionaries(st.sampled_from(LABELS), st.text(max_size=4)),
            st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**64).map(float),
        ),
        max_size=12,
    )
)
def test_whatever_series_say_devices_are_known_once_and_sane(series: list[Series]) -> None:
    found = gpus(series)
    assert len({gpu.uid for gpu in found}) == len(found)
    assert len({gpu.uid for gpu in found}) <= len(series)
    for gpu in found:
        assert gpu.uid.isprintable()
        assert 0 < gpu.share <= 1
        assert all(0 <= value <= 4 * 2**53 for value in gpu.values.values())
        assert 0 <= gpu.values.get("utilization", 0) <= 100
    assert all(0 <= ratio <= 1 for ratio in used(found).values())


# allocation


def share(*objects: dict[str, Any], **lists: Any) -> dict[str, float]:
    return metrics(told(None, *objects, allocation=True, lists=lists))


def test_without_a_source_of_metrics_the_watcher_ends_at_once() -> None:
    assert told(None, a_node(), TRAIN) == []


def test_what_is_given_away_is_what_pods_on_nodes_asked_for() -> None:
    begun = a_pod("init-0", initContainers=[{"resources": {"limits": {"nvidia.com/gpu": "2"}}}])
    over = a_pod("done", gpus="4", status={"phase": "Succeeded"})
    waiting = a_pod("wait", gpus="4", node="")
    found = share(a_node(), a_node("n2", gpus="4"), TRAIN, begun, over, waiting, EXPORTER)
    assert found == {"gpu_allocated_ratio": 3 / 12, "gpu_pending_pods": 1.0}


def test_gpus_of_other_makers_and_instances_count_too() -> None:
    mixed = {"amd.com/gpu": "1", "gpu.intel.com/i915": "1", "nvidia.com/mig-3g.40gb": "7"}
    node = a_node(gpus="0", status={"allocatable": {**mixed, "nvidia.com/gpu": "junk"}})
    limits = {"amd.com/gpu": 1, "nvidia.com/mig-3g.40gb": "1", "nvidia.com/gpu": {"a": 1}}
    pod = a_pod("a", containers=[{"name": "m", "resources": {"limits": limits}}])
    assert share(node, pod)["gpu_allocated_ratio"] == pytest.approx((1 + 3 / 7) / 5)


def test_a_cluster_without_gpus_is_silent() -> None:
    signals = told(Gauges(""), a_node(gpus="0"), a_pod("web"), seconds=100)
    assert {one.type for one in signals} == {HEARTBEAT}


def test_where_no_gpu_is_offered_there_is_no_ratio_but_those_who_wait_are_counted() -> None:
    assert share(a_node(gpus="0"), a_pod("w", gpus="1", node="")) == {"gpu_pending_pods": 1.0}


# dynamic resource allocation

SLICES, CLAIMS = "resourceslices.resource.k8s.io", "resourceclaims.resource.k8s.io"


def a_slice(*devices_: dict[str, Any], generation: int = 1, **spec: Any) -> dict[str, Any]:
    pool = {"name": "n1", "generation": generation, "resourceSliceCount": 1}
    body = {"driver": "gpu.nvidia.com", "nodeName": "n1", "pool": pool, "devices": [*devices_]}
    return {"kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": {**body, **spec}}


def a_device(number: int, kind: str = "gpu", domain: str = "") -> dict[str, Any]:
    names = {"type": kind, "uuid": f"GPU-{number}", "productName": H100}
    attributes = {domain + name: {"string": value} for name, value in names.items()}
    return {
        "name": f"gpu-{number}",
        "attributes": attributes,
        "capacity": {domain + "memory": {"value": "80Gi"}},
    }


def a_claim(device: str, pod: str = "uid-train-0", **request: Any) -> dict[str, Any]:
    result = {"driver": "gpu.nvidia.com", "pool": "n1", "device": device, "request": "g"}
    asked = {"name": "g", **(request or {"exactly": {"deviceClassName": "gpu.nvidia.com"}})}
    status = {
        "allocation": {"devices": {"results": [result]}},
        "reservedFor": [{"resource": "pods", "name": "train-0", "uid": pod}],
    }
    return {
        "kind": "ResourceClaim",
        "metadata": {"name": "c", "namespace": "ml"},
        "spec": {"devices": {"requests": [asked]}},
        "status": status if device else {},
    }


CLAIMING = a_pod("train-0", resourceClaims=[{"name": "g", "resourceClaimName": "c"}])
NO_PLUGIN = a_node(gpus="0")


@pytest.mark.parametrize("domain", ["", "gpu.nvidia.com/"])
def test_gpus_that_a_driver_offers_are_told_with_the_pod_that_holds_them(domain: str) -> None:
    lists = {SLICES: [a_slice(a_device(0, domain=domain), a_device(1))], CLAIMS: [a_claim("gpu-0")]}
    signals = told(None, NO_PLUGIN, CLAIMING, allocation=True, lists=lists)
    held, free = devices(signals)
    assert (held["uid"], held["name"], held["node"]) == ("GPU-0", "gpu-0", "n1")
    assert (held["pod"], held["model"], held["memoryTotal"]) == ("train-0", H100, 80.0 * 2**30)
    assert free["pod"] == ""
    assert metrics(signals) == {"gpu_allocated_ratio": 0.5, "gpu_pending_pods": 0.0}


def test_gpus_that_a_node_offers_in_both_ways_count_once() -> None:
    lists = {SLICES: [a_slice(a_device(0), a_device(1))], CLAIMS: []}
    found = metrics(told(None, a_node(gpus="2"), TRAIN, allocation=True, lists=lists))
    assert found["gpu_allocated_ratio"] == 0.5


def test_the_older_form_of_a_slice_is_read_too() -> None:
    new = a_device(0)
    old = {"name": "gpu-0", "basic": {k: new[k] for k in ("attributes", "capacity")}}
    lists = {SLICES: [a_slice(old)], CLAIMS: []}
    (found,) = devices(told(None, NO_PLUGIN, allocation=True, lists=lists))
    assert (found["uid"], found["memoryTotal"]) == ("GPU-0", 80.0 * 2**30)


def test_a_claim_names_the_pod_where_the_exporter_does_not() -> None:
    lists = {SLICES: [a_slice(a_device(0))], CLAIMS: [a_claim("gpu-0")]}
    (found,) = devices(told(Gauges(util(40)), NO_PLUGIN, CLAIMING, lists=lists))
    assert (found["utilization"], found["pod"]) == (40.0, "train-0")


def test_a_pool_counts_by_its_newest_generation_and_only_whole_gpus_count() -> None:
    parts = [a_device(2, "mig"), {"name": "odd", "attributes": {"type": 3}}]
    lists = {
        SLICES: [
            a_slice(a_device(0)),
            a_slice(a_device(1), *parts, generation=2),
            a_slice(a_device(9), driver="nic.example.com"),
        ],
        CLAIMS: [],
    }
    found = devices(told(None, NO_PLUGIN, allocation=True, lists=lists))
    assert [data["name"] for data in found] == ["gpu-1", "odd"]


def test_a_pod_that_waits_for_a_claim_of_gpus_is_counted() -> None:
    waiting = a_pod("w", node="", resourceClaims=[{"name": "g", "resourceClaimName": "c"}])
    for request in (
        {"exactly": {"deviceClassName": "gpu.nvidia.com"}},
        {"deviceClassName": "mig.nvidia.com"},
        {"firstAvailable": [{"deviceClassName": "gpu.amd.com"}]},
    ):
        lists = {SLICES: [a_slice(a_device(0))], CLAIMS: [a_claim("", **request)]}
        found = metrics(told(None, NO_PLUGIN, waiting, allocation=True, lists=lists))
        assert found["gpu_pending_pods"] == 1.0, request


@pytest.mark.parametrize("what", [{}, {"spec": 3}, {"spec": {"driver": "gpu.nvidia.com"}}])
def test_broken_slices_and_claims_are_left_out(what: dict[str, Any]) -> None:
    lists = {SLICES: [what, a_slice(a_device(0))], CLAIMS: [what, {"status": [1]}]}
    found = devices(told(None, NO_PLUGIN, allocation=True, lists=lists))
    assert [data["uid"] for data in found] == ["GPU-0"]


def test_an_api_without_dynamic_allocation_is_no_fault_and_a_right_that_lacks_is_told() -> None:
    assert [s for s in told(Gauges(util(1)), a_node()) if s.type == "watcher"] == []
    lists = {SLICES: ClusterError("forbidden", "no")}
    signals = told(Gauges(util(1)), a_node(), lists=lists, seconds=200)
    states = [(s.subject, s.data["reason"]) for s in signals if s.type == "watcher"]
    assert states == [(SLICES, "forbidden")]
    beats = [one.time for one in signals if one.type == HEARTBEAT]
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(beats)]
    assert max(gaps) <= 10
