"""One ledger played to one stage whose processes are killed over and over, and what came of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

from tests.ledger.checker import Found, Told, faults
from tests.ledger.killing import Killer
from tests.ledger.outcome import done_to, drain, episodes, figures_of, missions
from tests.ledger.sending import Moments, Sender
from tests.ledger.shapes import rules
from tests.ledger.stage import SECRET
from tests.testbeds.receiver import Answer, Receiver, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.ledger.sending import Ledger
    from tests.ledger.stage import Settings, Stage

LEAD = 0.05
"""How much of the ledger is sent ahead of the kills, as a share of it."""
DEED = 4
"""As how many kills a deed counts: the ledger goes on meanwhile."""
DEAF = "deaf"
"""A sink whose receiver says no, for ever."""


@dataclass(frozen=True)
class Deed:
    """Something done beside the kills, once the given share of them is over."""

    at: float
    do: Callable[[Killer], None]


@dataclass(frozen=True)
class Result:
    """What an ordeal gave: `wrong` says what should not be, `figures` how much there was."""

    found: Found
    wrong: list[str]
    figures: dict[str, Any] = field(default_factory=dict)


class Ordeal:
    """A stage with a ledger and a receiver of its own; `close` it in the end.

    `told` are the deliveries as they came, each with its signature proven. `turn(share)` says to a
    sender that a share of the ledger may go, or, by False, that it ends there; it may wait.
    """

    def __init__(
        self, stage: Stage, ledger: Ledger, extra: Callable[[str], Settings] | None = None
    ) -> None:
        """`extra(URL of the receiver)` are further settings of the stage."""
        self.stage = stage
        self.ledger = ledger
        self.told: list[Told] = []
        self.refused: set[str] = set()
        self.moments = Moments()
        self.turn: Callable[[float], bool] = lambda _share: True
        self._receiver = Receiver(self._hear)
        self._webhook = Webhook(SECRET)
        self._senders = self._ready_to_send()
        self._pace = Pace(0)
        further = extra(self._receiver.url) if extra else {}
        stage.play(rules(ledger.rules), self._receiver.url, further)

    @property
    def sent(self) -> int:
        """How many signals were acknowledged."""
        return sum(one.signals for one in self._senders)

    @property
    def struck(self) -> int:
        """How many kills are over; a deed counts as several."""
        return self._pace.number

    def run(self, kills: int, deeds: Sequence[Deed] = ()) -> Result:
        """Send the ledger while processes are killed, let all work end, and judge it.

        Raises:
            NotReadyError: a process did not come up again.
            AssertionError: signals were refused, or the work did not end.
        """
        began = monotonic()
        self.stage.start()
        start_s = monotonic() - began
        # All members started at once, on few cores: one alone is that much quicker.
        alone_s = start_s / len(self.stage.members)
        killer = Killer(self.stage, self.moments, Random(self.ledger.seed), alone_s)
        self._pace = pace = Pace(kills + DEED * len(deeds))
        self.turn = pace.turn
        found = self.play(lambda: _strike(killer, pace, kills, deeds), pace.end)
        figures = {
            "start_s": round(start_s, 2),
            "struck_s": round(killer.over_s - began - start_s, 1),
            "took_s": round(monotonic() - began, 1),
            **done_to(killer.blows),
        }
        return self.judge(found, killer.blows.repeats, figures)

    def play(self, work: Callable[[], None], over: Callable[[], None]) -> Found:
        """Send the ledger while `work` goes on, then let all that came of it end.

        `over` is called when `work` is: no turn may wait any longer.
        """
        with ThreadPoolExecutor(len(self._senders)) as pool:
            sending = [pool.submit(sender.run) for sender in self._senders]
            try:
                work()
                self.stage.start()
            except BaseException:
                for sender in self._senders:
                    sender.hopeless.set()
                raise
            finally:
                over()
            for one in sending:
                one.result()
        drain(self.stage)
        return Found(episodes(self.stage.reading), missions(self.stage), self.told)

    def judge(self, found: Found, repeats: int, figures: Mapping[str, Any]) -> Result:
        """Compare what was found with what must be; a sink may see so many repeats."""
        wanted = self.ledger.expected({one.cluster: one.batches for one in self._senders})
        sent = {
            "signals": self.sent,
            "attempts": sum(one.attempts for one in self._senders),
            "expected_firings": len(wanted),
        }
        return Result(
            found, faults(wanted, found, repeats), {**sent, **figures, **figures_of(found)}
        )

    def close(self) -> None:
        """End the stage and the receiver."""
        self.stage.close()
        self._receiver.close()

    def _ready_to_send(self) -> list[Sender]:
        senders = []
        urls = self.stage.intakes
        for place, cluster in enumerate(self.ledger.names()):
            first = place % len(urls)
            own = [*urls[first:], *urls[:first]]
            turn = self._turn
            senders.append(Sender(self.ledger, cluster, own, turn, self.moments))
        return senders

    def _turn(self, share: float) -> bool:
        return self.turn(share)

    def _hear(self, request: Request) -> Answer:
        """Take a delivery in, if its signature is right; a wrong one is never taken."""
        self.moments.happen("delivering")
        body = self._webhook.verify(request.body, dict(request.headers))
        sink, key = request.path.strip("/"), request.headers["webhook-id"]
        if sink == DEAF:
            self.refused.add(key)
            return Answer(status=400)
        self.told.append(Told(sink, key, body))
        return Answer()


class Pace:
    """Lets the ledger last as long as the kills: a part of it may go when as many are over."""

    def __init__(self, kills: int) -> None:
        self.number = 0
        self._kills = kills
        self._over = False
        self._turns = threading.Condition()

    def struck(self, number: int = 1) -> None:
        """Say that a kill is over, or something that counts as several."""
        with self._turns:
            self.number += number
            self._turns.notify_all()

    def turn(self, share: float) -> bool:
        """Wait until that share of the ledger may be sent."""
        with self._turns:
            return self._turns.wait_for(
                lambda: self._over or self.number >= (share - LEAD) * self._kills
            )

    def end(self) -> None:
        """Let the rest go."""
        with self._turns:
            self._over = True
            self._turns.notify_all()


def _strike(killer: Killer, pace: Pace, kills: int, deeds: Sequence[Deed]) -> None:
    waiting = sorted(deeds, key=lambda one: one.at)
    for number in range(kills):
        while waiting and waiting[0].at * kills <= number:
            pace.struck(DEED)
            waiting.pop(0).do(killer)
        killer.kill()
        pace.struck()
    for deed in waiting:
        pace.struck(DEED)
        deed.do(killer)
