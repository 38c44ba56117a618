"""How much may be in the log unfolded, found from how fast it is folded."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.app.intake.flow import SHARE, Flow
from engine.model.instant import MICROS

FLOOR = 1000
WINDOW_S = 3.0


@dataclass
class Plant:
    """A log and a folder of `rate` signals a second, at our own port, in steps of 50 ms."""

    rate: float
    flow: Flow = field(default_factory=lambda: Flow(FLOOR, WINDOW_S))
    now: int = 1_000_000 * MICROS
    log: list[tuple[int, int]] = field(default_factory=list)
    credit: float = 0.0
    longest: float = 0.0

    def step(self, offered: int) -> int:
        """Offer so many signals for 50 ms; return how many were let in."""
        self.now += 50_000
        self._fold()
        until = self.log[0][0] if self.log else self.now
        self.flow.folded(until, self.now)
        taken = 0
        while taken < offered and (room := self.flow.allowance(self.now)) > 0:
            count = min(offered - taken, room, self.flow.at_once)
            self.now += 100
            self.log.append((self.now, count))
            self.now += 100
            self.flow.appended(self.now, count)
            taken += count
        return taken

    def _fold(self) -> None:
        self.credit += self.rate * 0.05
        while self.log and self.credit >= 1:
            at, count = self.log.pop(0)
            done = min(count, int(self.credit))
            self.credit -= done
            self.longest = max(self.longest, (self.now - at) / MICROS)
            if count > done:
                self.log.insert(0, (at, count - done))
        if not self.log:
            self.credit = 0.0

    @property
    def unfolded(self) -> int:
        return sum(count for _, count in self.log)


def test_what_folding_can_take_passes_untouched() -> None:
    plant = Plant(rate=2000)
    assert all(plant.step(90) == 90 for _ in range(400))


def test_a_flood_of_ten_times_leaves_no_more_than_the_window_in_the_log() -> None:
    plant = Plant(rate=2000)
    let_in = [plant.step(1000) for _ in range(1200)]
    assert plant.longest <= 2 * WINDOW_S
    assert plant.unfolded <= 2 * plant.flow.window
    # And folding never waits for what it could have had.
    assert sum(let_in[400:]) >= 0.9 * 2000 * 0.05 * len(let_in[400:])


def test_the_rate_is_that_of_folding_and_not_of_what_comes() -> None:
    plant = Plant(rate=2000)
    for _ in range(400):
        plant.step(50)
    for _ in range(400):
        plant.step(1000)
    assert 1600 <= plant.flow.rate <= 2400
    plant.rate = 500
    for _ in range(1200):
        plant.step(1000)
    assert 350 <= plant.flow.rate <= 700


def test_a_log_that_nobody_folds_goes_on_taking_some() -> None:
    plant = Plant(rate=2000)
    for _ in range(400):
        plant.step(1000)
    plant.rate = 0
    let_in = sum(plant.step(1000) for _ in range(200))
    assert let_in >= 0.8 * SHARE * 2000 * 10


def test_a_backlog_of_an_outage_is_folded_while_half_the_load_passes() -> None:
    plant = Plant(rate=2000)
    for _ in range(400):
        plant.step(1000)
    plant.rate = 0
    for _ in range(600):
        plant.step(40)
    plant.rate = 2000
    assert sum(plant.step(40) for _ in range(900)) >= 0.97 * 40 * 900
    assert plant.unfolded <= plant.flow.window


def test_nothing_is_late_before_it_is_known_how_fast_folding_is() -> None:
    flow = Flow(FLOOR, WINDOW_S)
    flow.appended(MICROS, 5 * FLOOR)
    assert flow.seconds(100 * FLOOR) == 0
    assert flow.allowance(MICROS) == 0


def test_slow_folding_gets_seconds_of_work_and_no_more_once_it_is_known() -> None:
    plant = Plant(rate=100)
    for _ in range(600):
        plant.step(100)
    plant.longest = 0.0
    for _ in range(1200):
        plant.step(100)
    assert plant.longest <= 2 * WINDOW_S
    assert plant.flow.window < FLOOR


def test_a_rate_that_was_taken_for_too_low_is_found_again() -> None:
    plant = Plant(rate=50)
    for _ in range(1200):
        plant.step(100)
    plant.rate = 2000
    for _ in range(600):
        plant.step(1000)
    assert plant.flow.rate >= 1500
