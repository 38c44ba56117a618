"""Why parts of PromQL are refused, and the nearest way out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_Reason = tuple[str, str]
"""Why, and the way out."""

EXTRAPOLATED: Final[_Reason] = (
    "Prometheus extrapolates it to the ends of the window; only a comparison with 0 is the same",
    "--nearly takes fn: rate or fn: increase; or write the rule anew with a threshold of its own",
)
SUBQUERY: Final[_Reason] = (
    "a subquery evaluates an expression many times in the past",
    "a rule for the inner expression, and a second one over its firings (type condition)",
)
_CLOCK: Final[_Reason] = (
    "it changes with the clock, without a new sample",
    "write the rule with `now` in `when`, and `reevaluate`",
)
_LABELS: Final[_Reason] = (
    "labels of signals can not be made anew",
    "let the metric carry the label, or group by the labels there are",
)
_HISTOGRAM: Final[_Reason] = (
    "it needs all buckets of a histogram at one instant",
    "alert on a bucket against the count, or send the percentile as a metric",
)

WINDOWS: Final[_Reason] = (
    "it has windows of different lengths ({0}; a series as it is counts as 5m), and a rule has one",
    "two rules, joined by inhibited_by or by a third one over type condition",
)
COMPUTED: Final[_Reason] = (
    "it aggregates what is computed of each series or group; a rule takes their samples",
    "a rule for each series; or a second rule over its firings (type condition)",
)
INFINITE: Final[_Reason] = (
    "a division by a series may give what is no finite number, which measures leave out",
    "divide one aggregate by the other",
)
NUMBER: Final[_Reason] = ("it depends on no series: it fires always, or never", "a `schedule` rule")
UNKNOWN: Final[_Reason] = (
    "the rule language has no counterpart",
    "see docs/rules.md for the measures there are",
)

FUNCTIONS: Final[Mapping[str, _Reason]] = MappingProxyType(
    {
        "rate": EXTRAPOLATED,
        "increase": EXTRAPOLATED,
        "irate": ("it is the slope of the last two samples", EXTRAPOLATED[1]),
        "delta": EXTRAPOLATED,
        "idelta": ("it is the difference of the last two samples", "fn: delta over a short window"),
        "changes": (
            "dogwatch counts the step into the window too; only a comparison with 0 is the same",
            "fn: changes with a threshold of its own",
        ),
        "resets": ("resets of a counter are not measured", "fn: changes of the start time"),
        "predict_linear": (
            "its value moves with the clock between samples",
            "fn: slope and fn: last, with `having: m.last + m.slope * 14400.0 < 0.0`",
        ),
        "time": _CLOCK,
        "timestamp": _CLOCK,
        "hour": _CLOCK,
        "minute": _CLOCK,
        "day_of_week": _CLOCK,
        "day_of_month": _CLOCK,
        "month": _CLOCK,
        "label_replace": _LABELS,
        "label_join": _LABELS,
        "histogram_quantile": _HISTOGRAM,
        "histogram_fraction": _HISTOGRAM,
        "vector": ("it has an element always, whatever is measured", "a rule with `schedule`"),
        "scalar": ("it joins a series to others of other labels", "group both by the same labels"),
        "absent": (
            "Prometheus fires for a series that never was, dogwatch only for one that it has seen",
            "--nearly takes `absent` with expect: seen",
        ),
        "absent_over_time": (
            "Prometheus fires for a series that never was, dogwatch only for one that it has seen",
            "--nearly takes `absent` with expect: seen",
        ),
    }
)
ABSENT_NEARLY: Final = (
    "fires only for series that were seen once, and not while the source sends nothing at all"
)
COUNTED_NEARLY: Final = (
    "{0} is counted from the samples, the step into the window included, and not extrapolated "
    "to the ends of the window"
)
