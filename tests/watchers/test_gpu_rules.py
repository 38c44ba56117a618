"""The shipped rules fire on what the watcher of GPUs tells, and never on what it does not know."""

from engine.model.errors import MetricsError
from engine.model.firing import State
from tests.watchers.gpus import Gauges, a_line, a_node, a_pod, told, util
from tests.watchers.shipped import fired, moves

ALL = (
    "gpu-underused",
    "gpu-underused-pod",
    "gpu-fatal-error",
    "gpu-temperature",
    "idle-gpu-node",
    "watcher-down",
)
MINUTES_90 = 90 * 60.0
HOLDER = {"pod": "train-0", "namespace": "ml"}
TRAIN = a_pod("train-0", gpus="1")
LOOKS_OF_AN_HOUR = 120


def test_gpus_that_work_less_than_half_of_the_time_fire_after_an_hour() -> None:
    page = util(90, **HOLDER) + util(6, 1)
    assert fired(told(Gauges(page), a_node(), TRAIN, seconds=MINUTES_90), *ALL) == ["gpu-underused"]
    assert fired(told(Gauges(page), a_node(), TRAIN, seconds=3000), *ALL) == []


def test_half_of_the_time_is_enough() -> None:
    assert fired(told(Gauges(util(90) + util(10, 1)), a_node(), seconds=MINUTES_90), *ALL) == []


def test_gpus_that_do_nothing_at_all_fire_though_nothing_changes() -> None:
    assert fired(told(Gauges(util(0)), a_node(), seconds=MINUTES_90), *ALL) == ["gpu-underused"]


def test_the_pod_that_wastes_its_gpu_is_named() -> None:
    page = util(20, **HOLDER) + util(99, 1) + util(99, 2)
    signals = told(Gauges(page), a_node(), TRAIN, seconds=MINUTES_90)
    ((rule, state, key),) = [one for one in moves(signals, *ALL) if one[1] is State.FIRING]
    assert (rule, state, key["signal.data.pod"]) == ("gpu-underused-pod", State.FIRING, "train-0")
    assert key["namespace"] == "ml"


def test_an_exporter_that_is_silent_for_half_an_hour_fires_nothing() -> None:
    busy, gap = util(80, **HOLDER), ""
    gauges = Gauges(*[busy] * 20, *[gap] * 60, busy)
    assert fired(told(gauges, a_node(), TRAIN, seconds=MINUTES_90), *ALL) == []


def test_values_that_are_missing_are_no_zeros() -> None:
    page = a_line("DCGM_FI_DEV_GPU_UTIL", "NaN") + a_line("DCGM_FI_DEV_FB_USED", 1)
    assert fired(told(Gauges(page), a_node(), seconds=MINUTES_90), *ALL) == []


def test_a_prometheus_that_is_down_fires_nothing_about_gpus() -> None:
    down = MetricsError("unreachable", "no route")
    gauges = Gauges(*[util(80)] * 20, *[down] * 60, util(80))
    signals = told(gauges, a_node(), seconds=MINUTES_90)
    assert fired(signals, *ALL[:-1]) == []


def test_a_fatal_error_fires_and_ends_once_the_code_is_gone() -> None:
    well, ill = (util(80) + a_line("DCGM_FI_DEV_XID_ERRORS", code) for code in (0, 79))
    gauges = Gauges(well, *[ill] * 4, "", "", *[well] * 90)
    signals = told(gauges, a_node(), seconds=2400)
    found = [(state, key["name"]) for _, state, key in moves(signals, "gpu-fatal-error")]
    assert found == [(State.FIRING, "gpu-0"), (State.RESOLVED, "gpu-0")]


def test_an_error_of_the_board_fires_once_however_it_is_divided() -> None:
    page = "".join(
        a_line("DCGM_FI_DEV_GPU_TEMP", 91, GPU_I_ID=number, GPU_I_PROFILE="1g.10gb")
        for number in ("1", "2", "3")
    )
    signals = told(Gauges(page), a_node(), seconds=600)
    assert fired(signals, *ALL) == ["gpu-temperature"]


def test_a_pod_that_comes_and_goes_leaves_no_error_behind() -> None:
    held = util(80, **HOLDER) + a_line("DCGM_FI_DEV_XID_ERRORS", 79, **HOLDER)
    other = util(80, 1, **HOLDER)
    free = util(80) + a_line("DCGM_FI_DEV_XID_ERRORS", 0) + other
    signals = told(Gauges(held, held, free), a_node(), TRAIN, seconds=2400)
    assert moves(signals, "gpu-fatal-error")[-1][1] is State.RESOLVED
