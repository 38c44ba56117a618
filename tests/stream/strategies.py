"""Random rules and logs for property tests."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from engine.model.signal import Signal
from engine.rules.cel import Program
from engine.rules.cel import compile as cel
from engine.rules.rule import (
    Absent,
    Inhibitor,
    Interval,
    Measure,
    MissionOrder,
    Rule,
    Schedule,
    Selector,
    Sequence,
    SequenceStep,
)
from tests.stream.building import a_beat, a_signal

program = lru_cache(maxsize=None)(cel)
SECOND = 1_000_000
DURATIONS = st.sampled_from([0, 3, 5, 8]).map(lambda one: one * SECOND)
TYPES = ("k8s.object", "k8s.event", "alert")
KEYS = (("cluster",), ("cluster", "workload"), ("cluster", "node"))
MINUTE = Interval("first", times=((0, 1),))
HAVING = ("m.n > 1", "m.n >= 3", "m.n < 2", "m.n == 0")
FUNCTIONS = (
    "count",
    "distinct",
    "sum",
    "avg",
    "min",
    "max",
    "last",
    "p50",
    "p90",
    "stddev",
    "slope",
)
STEPS = ("increase", "rate", "delta", "changes")
"""Measures of series; of occurrences only Events have such."""
WHEN = st.sampled_from(["signal.data.bad", "signal.data.n > 1"]).map(program)
ON_NODATA = st.sampled_from(["keep", "keep", "resolve", "fire"])


CORES = ("when", "window", "sequence", "absent", "schedule")


@st.composite
def rules(
    draw: st.DrawFn, name: str = "r", *, clear: bool = True, cores: tuple[str, ...] = CORES
) -> Rule:
    """Return a rule over `data.n` and `data.bad`, of any core."""
    core = draw(st.sampled_from(cores))
    kind = draw(st.sampled_from(TYPES))
    fields: dict[str, Any] = {
        "for_us": draw(DURATIONS),
        "keep_firing_for_us": draw(DURATIONS),
        "stale_after_us": draw(st.sampled_from([4, 6])) * SECOND,
        "on": (Selector(kind),),
        "by": draw(st.sampled_from(KEYS)),
    }
    if core == "sequence":
        fields |= draw(_sequences())
    elif core == "absent":
        within, after = draw(st.sampled_from([3, 8])), draw(st.sampled_from([0, 12]))
        fields["absent"] = Absent("seen", within * SECOND, after * SECOND)
    elif core == "window" or (core == "schedule" and draw(st.booleans())):
        fields |= draw(_windows(kind, clear=clear and core == "window"))
    else:
        fields |= draw(_levels(kind, clear=clear and core == "when"))
    if fields.get("over_us") and fields["on_nodata"] != "keep":
        fields["by"] = ("cluster",)  # the engine forgets keys that objects left, the reference none
    if core == "schedule":
        fields |= {"schedule": Schedule("* * * * *"), "for_us": 0, "keep_firing_for_us": 0}
        fields["on_nodata"] = "keep"
    return Rule(name=name, hash=repr(sorted(map(repr, fields.items()))), **fields)


@st.composite
def _levels(draw: st.DrawFn, kind: str, *, clear: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"when": draw(WHEN)}
    if kind == "k8s.object":
        fields["on_nodata"] = draw(ON_NODATA)
        fields["clear"] = program("signal.data.n == 0") if clear and draw(st.booleans()) else None
    return fields


@st.composite
def _windows(draw: st.DrawFn, kind: str, *, clear: bool) -> dict[str, Any]:
    fn = draw(st.sampled_from(FUNCTIONS + (STEPS if kind == "k8s.object" else ())))
    of: Program | None = None if fn == "count" else program("signal.data.n")
    latest = kind != "alert" and fn not in {*STEPS, "slope", "last"} and draw(st.booleans())
    return {
        "measures": (Measure("n", fn, of, latest=latest),),
        "window": draw(st.sampled_from(["sliding", "tumbling", "session"])),
        "over_us": draw(st.sampled_from([2, 5, 10])) * SECOND,
        "gap_us": draw(st.sampled_from([1, 3])) * SECOND,
        "having": program(draw(st.sampled_from(HAVING))),
        "clear": program("m.n == 1") if clear and draw(st.booleans()) else None,
        "when": draw(st.none() | WHEN),
        "on_nodata": draw(ON_NODATA),
    }


@st.composite
def _sequences(draw: st.DrawFn) -> dict[str, Any]:
    ordered = draw(st.booleans())
    count = draw(st.sampled_from([2, 3]))
    steps = [
        SequenceStep(f"s{n}", (Selector(draw(st.sampled_from(TYPES))),), draw(WHEN))
        for n in range(count)
    ]
    if ordered and draw(st.booleans()):
        steps[-1] = replace(steps[-1], negated=True)
    within = draw(st.sampled_from([3, 8, 20])) * SECOND
    kinds = dict.fromkeys(step.on[0].type for step in steps)
    return {
        "sequence": Sequence(tuple(steps), within, ordered, draw(st.booleans())),
        "on": tuple(map(Selector, kinds)),
    }


@st.composite
def whole_rules(draw: st.DrawFn, name: str, inhibitor: str) -> Rule:
    """Return a rule with a mission, an inhibitor and limits as well."""
    rule = draw(rules(name))
    equal = draw(st.sampled_from([("cluster",), ("cluster", "node")]))
    return replace(
        rule,
        mission=MissionOrder("incident-response", {"text": "{{ rule }}"}),
        settle_us=draw(DURATIONS),
        cooldown_us=draw(st.sampled_from([0, 20])) * SECOND,
        max_keys=draw(st.sampled_from([1, 2, 100])),
        debounce_us=draw(st.sampled_from([0, 0, 2, 4])) * SECOND,
        repeat_us=draw(st.sampled_from([0, 0, 6])) * SECOND,
        max_per_hour=draw(st.sampled_from([0, 1, 3])),
        mute_during=draw(st.sampled_from([(), (MINUTE,)])),
        mode=draw(st.sampled_from(["live", "live", "shadow"])),
        inhibited_by=draw(st.sampled_from([(), (Inhibitor(inhibitor, equal),)])),
    )


@st.composite
def logs(draw: st.DrawFn, *, size: int = 25, beats: bool = False) -> list[Signal]:
    """Return signals in order of time, at distinct instants on a grid of half a second."""
    steps = draw(st.lists(st.integers(1, 8), min_size=1, max_size=size))
    log, at = [], 0
    for number, step in enumerate(steps):
        at += step
        log.append(draw(_signals(at / 2, number)))
        if beats and draw(st.booleans()):
            log.append(a_beat(at / 2, source=draw(st.sampled_from(["w1", "w2"]))))
    return log


@st.composite
def _signals(draw: st.DrawFn, at: float, number: int) -> Signal:
    kind = draw(st.sampled_from(TYPES))
    data: dict[str, Any] = {
        "workload": draw(st.sampled_from(["a", "b", "c"])),
        "node": draw(st.sampled_from(["n1", "n2"])),
        "n": draw(st.integers(0, 4)),
        "bad": draw(st.booleans()),
        "uid": draw(st.sampled_from(["u1", "u2", "u3"])),
    }
    data["name"] = data["uid"]
    if kind == "k8s.object":
        data["change"] = draw(st.sampled_from(["modified", "modified", "modified", "deleted"]))
        data["workload"] = draw(st.sampled_from(["a", "b"]))
    if kind == "k8s.event":
        data["count"] = draw(st.integers(1, 5))
    source = draw(st.sampled_from(["w1", "w2"]))
    return a_signal(at, kind, data, source=source, identity=f"log-{number}")
