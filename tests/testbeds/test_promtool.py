"""The runner of promtool reads what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testbeds.promtool import Alert

if TYPE_CHECKING:
    from tests.testbeds.promtool import Promtool

pytestmark = pytest.mark.real

RULE = {"alert": "High", "expr": "x > 1", "for": "2m", "labels": {"severity": "page"}}
GROUPS = [{"name": "g", "interval": "1m", "rules": [RULE]}]


def test_alerts_are_told_with_state_and_labels_at_each_instant(promtool: Promtool) -> None:
    series = {'x{a="c\\"{, \\\\"}': "0 2 2 2 0", 'x{a="quiet"}': "0 0 0 0 0"}
    found = promtool.alerts(GROUPS, series, [0, 60, 180, 240], interval_s=60)
    labels = (("a", 'c"{, \\'), ("severity", "page"))
    assert found == [
        frozenset(),
        frozenset({Alert("High", "pending", labels)}),
        frozenset({Alert("High", "firing", labels)}),
        frozenset(),
    ]


def test_queries_are_answered_with_labels_and_values(promtool: Promtool) -> None:
    queries = [("x", 0), ("x * 0.5", 60), ("sum(x)", 60), ("absent(x)", 60)]
    found = promtool.ask(GROUPS, {'x{a="b"}': "1 2.5e-7"}, queries, (60, 60))
    assert found == [
        [({"__name__": "x", "a": "b"}, 1.0)],
        [({"a": "b"}, 1.25e-7)],
        [({}, 2.5e-7)],
        [],
    ]
