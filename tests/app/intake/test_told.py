"""A flood is told once when it begins and once when it is over."""

from __future__ import annotations

from collections import Counter

from structlog.testing import capture_logs

from engine import meters
from engine.app.intake.shedding import Pressure, Reason
from engine.app.intake.told import OVER_US, Told


def test_a_flood_is_told_when_it_begins_and_when_it_is_over() -> None:
    told = Told()
    sampled = Counter({Reason.SAMPLED: 3})
    before = meters.REGISTRY.get_sample_value("dogwatch_signals_shed_total", {"reason": "sampled"})
    with capture_logs() as lines:
        assert told.problem == ""
        told.shed(Counter(), Pressure.LEVELS, 9.0, 0)
        assert told.problem == ""
        for at in (1, 2, 3):
            told.shed(sampled, Pressure.METRICS, 6.04, at)
            assert not told.look(at + OVER_US)
        assert "shed so far: 9 sampled" in told.problem
        assert told.look(4 + OVER_US)
        assert told.problem == ""
        assert not told.look(5 + OVER_US)
    assert [line["event"] for line in lines] == ["shedding", "shedding is over"]
    assert (lines[0]["pressure"], lines[0]["delay_s"]) == ("metrics", 6.0)
    assert lines[1]["shed"] == {"sampled": 9}
    after = meters.REGISTRY.get_sample_value("dogwatch_signals_shed_total", {"reason": "sampled"})
    assert (after or 0) - (before or 0) == 9


def test_sources_that_are_held_back_are_told_of_once() -> None:
    told = Told()
    with capture_logs() as lines:
        for at in range(5):
            told.held(1000, at)
        assert "503" in told.problem
        told.look(5 + OVER_US)
        assert told.problem == ""
        told.held(1000, 9 + OVER_US)
    events = [line["event"] for line in lines]
    held = "sources are held back"
    assert events == [held, f"{held} no longer", held]
