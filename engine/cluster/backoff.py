"""How long to leave a server alone: exponential, with full jitter."""

import random

FIRST_S = 0.8
CAP_S = 30.0
HEALTHY_S = 120.0


class Backoff:
    """Waits double from 0.8 s to 30 s; each is drawn from [0, that]. Pure but for `chance`."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._limit_s = FIRST_S

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Return the seconds to wait now; `at_least_s` is what the server asked for."""
        wait = self._chance.uniform(0.0, self._limit_s)
        self._limit_s = min(self._limit_s * 2, CAP_S)
        return at_least_s + wait

    def healthy_for(self, seconds: float) -> None:
        """Tell that all went well for so long; after 2 min the waits begin anew."""
        if seconds >= HEALTHY_S:
            self._limit_s = FIRST_S
