"""One ledger played to one stage whose processes are killed over and over, and what came of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

from tests.ledger.checker import Episode, Found, Told, faults
from tests.ledger.killing import Blows, Killer
from tests.ledger.sending import Moments, Sender
from tests.ledger.shapes import ECHO, T0, rules, shape_of
from tests.ledger.stage import SECRET, listed, positions
from tests.testbeds.process import eventually
from tests.testbeds.receiver import Answer, Receiver, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.ledger.sending import Ledger
    from tests.ledger.stage import Stage

DRAIN_S = 120.0
LEAD = 0.05
"""How much of the ledger is sent ahead of the kills, as a share of it."""
_FIRINGS = "SELECT id, rule, key, opened_at, resolved_at FROM firings"
_MISSIONS = "SELECT id, firing, state, outcome, crashes FROM missions ORDER BY id"
_MISSIONS_WAIT = "SELECT count(*) FROM missions WHERE state IN ('queued', 'running')"
_DELIVERIES_WAIT = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
_T0_US = round(T0.timestamp()) * 1_000_000


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

    `told` are the deliveries as they came, each with its signature proven.
    """

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self.stage = stage
        self.ledger = ledger
        self.told: list[Told] = []
        self.moments = Moments()
        self._receiver = Receiver(self._hear)
        self._random = Random(ledger.seed)
        self._kills = 0
        self._struck = 0
        self._turns = threading.Condition()
        self._over = False
        self._webhook = Webhook(SECRET)
        stage.play(rules(ledger.rules), self._receiver.url)

    def run(self, kills: int, deeds: Sequence[Deed] = ()) -> Result:
        """Send the ledger while processes are killed, let all work end, and judge it.

        Raises:
            NotReadyError: a process did not come up again.
            AssertionError: signals were refused, or the work did not end.
        """
        began = monotonic()
        self._kills = kills
        self.stage.start()
        started = monotonic()
        killer = Killer(self.stage, self.moments, self._random, started - began)
        senders = self._senders()
        with ThreadPoolExecutor(len(senders)) as pool:
            sending = [pool.submit(sender.run) for sender in senders]
            try:
                self._strike(killer, kills, deeds)
                self.stage.start()
            except BaseException:
                for sender in senders:
                    sender.hopeless.set()
                raise
            finally:
                self._let_all_be_sent()
            for one in sending:
                one.result()
        sent = monotonic()
        self._drain()
        found = Found(self._episodes(), self._missions(), self.told)
        wanted = self.ledger.expected()
        wrong = faults(wanted, found, killer.blows.repeats)
        figures = {
            **_figures(found, killer.blows),
            "signals": sum(sender.signals for sender in senders),
            "attempts": sum(sender.attempts for sender in senders),
            "expected_firings": len(wanted),
            "start_s": round(started - began, 2),
            "sending_s": round(sent - started, 1),
            "draining_s": round(monotonic() - sent, 1),
        }
        return Result(found, wrong, figures)

    def close(self) -> None:
        """End the stage and the receiver."""
        self.stage.close()
        self._receiver.close()

    def _senders(self) -> list[Sender]:
        made = []
        for place, cluster in enumerate(self.ledger.names()):
            urls = self.stage.intakes
            first = place % len(urls)
            own = [*urls[first:], *urls[:first]]
            made.append(Sender(self.ledger, cluster, own, self._await_turn, self.moments))
        return made

    def _strike(self, killer: Killer, kills: int, deeds: Sequence[Deed]) -> None:
        waiting = sorted(deeds, key=lambda one: one.at)
        for number in range(kills):
            while waiting and waiting[0].at * kills <= number:
                waiting.pop(0).do(killer)
            killer.kill()
            with self._turns:
                self._struck += 1
                self._turns.notify_all()
        for deed in waiting:
            deed.do(killer)

    def _await_turn(self, share: float) -> None:
        """Let a sender wait until the kills have come so far: they last as long as the ledger."""
        with self._turns:
            self._turns.wait_for(lambda: self._over or self._struck >= (share - LEAD) * self._kills)

    def _let_all_be_sent(self) -> None:
        with self._turns:
            self._over = True
            self._turns.notify_all()

    def _drain(self) -> None:
        """Wait until all that is on the logs now was folded, and what came of it has ended."""
        wait = self._wait
        ends = self.stage.reading.ends()
        first = {log: end for log, end in ends.items() if log >= 0}
        wait(lambda: _behind(positions(self.stage.reading), first), "records to be folded")
        # What was found is told to the second stage, which may find more.
        wait(self._unpublished, "conditions to be published")
        ends = self.stage.reading.ends()
        wait(lambda: _behind(positions(self.stage.reading), ends), "conditions to be folded")
        wait(lambda: self._count(_MISSIONS_WAIT), "missions to end")
        wait(lambda: self._count(_DELIVERIES_WAIT), "deliveries to be made")

    def _wait(self, left: Callable[[], int], what: str) -> None:
        members = self.stage.members
        ended = eventually(
            lambda: left() == 0 or None,
            DRAIN_S,
            lambda: not all(one.running for one in members),
            every_s=0.2,
        )
        if not ended:
            tails = "\n".join(f"{one.name}:\n{one.tail(15)}" for one in members)
            raise AssertionError(f"{left()} {what} still wait; {tails}")

    def _unpublished(self) -> int:
        return 0

    def _count(self, query: str) -> int:
        ((number,),) = self.stage.reading.select(query)
        return int(number)

    def _episodes(self) -> dict[str, Episode]:
        made, echoes = {}, {}
        for firing, rule, key, opened, resolved in self.stage.reading.select(_FIRINGS):
            group = json.loads(key) if isinstance(key, str) else dict(key)
            if shape_of(rule) == ECHO:
                echoes[firing] = (rule, group["signal.data.firing"])
                continue
            cluster = group.pop("cluster", "")
            (name,) = group.values()
            at = (opened - _T0_US, None if resolved is None else resolved - _T0_US)
            made[firing] = Episode(rule, cluster, name, *at)
        unknown = Episode("", "", "unknown firing", 0, None)
        for firing, (rule, member) in echoes.items():
            of = made.get(member, unknown)
            made[firing] = Episode(rule, of.cluster, of.name, of.opened, None)
        return made

    def _missions(self) -> list[tuple[str, str, str, str, int]]:
        """Return the missions as the store has them, which must be those that the CLI lists."""
        stored = [(*row[:4], int(row[4])) for row in self.stage.reading.select(_MISSIONS)]
        assert listed(self.stage) == sorted(row[0] for row in stored)
        return stored

    def _hear(self, request: Request) -> Answer:
        """Take a delivery in, if its signature is right; a wrong one is never taken."""
        self.moments.happen("delivering")
        body = self._webhook.verify(request.body, dict(request.headers))
        self.told.append(Told(request.path.strip("/"), request.headers["webhook-id"], body))
        return Answer()


def _behind(folded: dict[int, int], ends: dict[int, int]) -> int:
    """Return how many records were not folded yet."""
    return sum(max(0, end - folded.get(log, 0)) for log, end in ends.items())


def _figures(found: Found, blows: Blows) -> dict[str, Any]:
    keys = Counter((one.sink, one.key) for one in found.told)
    repeats = Counter(sink for (sink, _), number in keys.items() for _ in range(number - 1))
    return {
        "kills": blows.kills,
        "kills_by_role": dict(blows.by_role),
        "kills_by_phase": dict(blows.by_phase),
        "zombies": blows.zombies,
        "departures": blows.departures,
        "firings": len(found.episodes),
        "missions": len(found.missions),
        "mission_crashes": sum(row[4] for row in found.missions),
        "deliveries": len(found.told),
        "repeats": dict(repeats),
    }
