"""`dogwatch demo`: the whole path on a recorded cluster, shown step by step.

Everything is real but the cluster: its objects, logs and signals were recorded. Bus, store,
evaluator, mission and delivery are those of `dogwatch run`.
"""

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

import engine
from engine.app import logs
from engine.app.config import AppConfig
from engine.app.demo_receiver import Received, receiver
from engine.app.engine import Engine
from engine.app.new_folder import expect_new
from engine.app.recorded_cluster import RecordedCluster
from engine.app.replaying import records
from engine.app.rule_files import load_paths
from engine.cluster import recorded
from engine.model.delivery import Occasion
from engine.model.errors import DogwatchError
from engine.model.mission import MissionRow, MissionState
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.report import to_text
from engine.store.firings import FiringRow

RECORDING = Path(__file__).parent / "recording"
RULES = Path(engine.__file__).parent.parent / "rules"
WITHIN_S = 60.0
LATENESS = timedelta(seconds=10)
LOOK_S = 0.05
WEBHOOK = "webhook"
NAME = "dogwatch"
NEXT = {
    "rules check rules": "change a rule, see its mistakes",
    "rules test rules": "see the tests of the rules run",
    "mission run incident-response --snapshot FOLDER": "judge any folder of manifests",
    "run --config deploy/dogwatch.yaml": "watch a cluster of yours",
}
"""Arguments of dogwatch by what they do."""
T = TypeVar("T")


def show_demo(keep: Path | None, *, terminal: bool) -> None:
    """Run the demo and print it; what it stored is kept in `keep` where given.

    Raises:
        DogwatchError: the demo did not get through; never silently.
    """
    if not RULES.is_dir():
        raise DogwatchError(f"{RULES}: the shipped rules are not there; run from a checkout")
    if keep:
        expect_new(keep)  # what an earlier demo stored is known: nothing would be told anew
    logs.quiet()
    folder = nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="dogwatch-")
    console = Console(highlight=False, soft_wrap=True, no_color=not terminal)
    with folder as data:
        asyncio.run(_Demo(Path(data), console).show())
    _say_what_next(console, keep)


class _Demo:
    """One run over one data folder."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._snapshot = recorded.load(RECORDING)

    async def show(self) -> None:
        """Show the five nouns, each as it comes to be."""
        batches = list(records(str(RECORDING / "signals.jsonl")))
        async with receiver() as received:
            settings = _settings(self._folder, received)
            clusters = {n: RecordedCluster(c) for n, c in self._snapshot.clusters.items()}
            rules = load_paths([RULES])
            async with Engine(settings, lambda _: rules, clusters, SystemClock()) as running:
                self._show_signals(batches, len(rules.rules))
                with self._console.status("folding the log, running the mission, delivering"):
                    mission = await _beside(running, self._tell(running, batches))
                self._show(running, mission, received)

    def _head(self, number: int, noun: str, what: str) -> None:
        self._console.print(f"\n[bold cyan]{number}. {noun}[/]  {what}")

    def _show_signals(self, batches: Sequence[list[Signal]], rules: int) -> None:
        signals = [signal for batch in batches for signal in batch]
        objects = [signal for signal in signals if signal.type == "k8s.object"]
        first, last = signals[0].time, signals[-1].time
        names = ", ".join(self._snapshot.clusters)
        self._console.print(
            "dogwatch demo: what happens between a signal and the person on call.\n"
            "The cluster is a recording; everything else is the real engine. "
            "Nothing leaves this machine."
        )
        self._head(
            1,
            "Signals",
            f"{len(signals)} recorded from cluster {names}, {first:%H:%M} to {last:%H:%M} UTC",
        )
        self._console.print(
            f"   {len(objects)} changes of objects and {len(signals) - len(objects)} heartbeats, "
            f"written to the bus; {rules} rules watch them.\n   The last changes of crashing pods:"
        )
        crashing = [s for s in objects if s.data.get("waiting") and s.data["change"] != "deleted"]
        for signal in crashing[-3:]:
            data = signal.data
            waiting = ", ".join(data["waiting"])
            self._console.print(
                f"   {signal.time:%H:%M:%S}  {data['kind']} {data['namespace']}/{data['name']}  "
                f"restarts {data['restarts']}  {waiting}",
                markup=False,
            )

    async def _tell(self, running: Engine, batches: Sequence[list[Signal]]) -> MissionRow:
        """Put the log onto the bus; return the mission once all was delivered.

        The part after the snapshot was taken follows once the mission has ended, as in life.
        """
        taken = max(one.taken_at for one in self._snapshot.clusters.values() if one.taken_at)
        signals = [signal for batch in batches for signal in batch]
        before = [signal for signal in signals if signal.time <= taken + LATENESS]

        def ended() -> list[MissionRow]:
            return running.store.missions(states=[MissionState.DONE, MissionState.FAILED])

        await running.bus.append(before)
        await _until(ended, "the mission to end")
        await running.bus.append(signals[len(before) :])
        fold = running.folds()[0]
        sent = (await running.waiting()).records + fold.next_offset
        await _until(lambda: fold.committed_offset >= sent, "the log to be folded")
        await _until(lambda: running.store.pending(WEBHOOK).waiting == 0, "the deliveries")
        return ended()[-1]

    def _show(self, running: Engine, mission: MissionRow, received: Received) -> None:
        firing = running.store.firing(mission.firing)
        if firing is None or mission.report is None:
            raise DogwatchError(f"mission {mission.id} ended without a report: {mission.reason}")
        self._show_firing(firing)
        self._head(3, "Mission", f"{mission.kind}, started by that firing")
        self._console.print(
            f"   {mission.id}\n   It read the cluster once, kept what it read as evidence, and "
            "judged that.",
            markup=False,
        )
        self._head(4, "Report", "what it found, and what it rests on\n")
        text = to_text(mission.report, colour=self._console.is_terminal)
        self._console.print(text, markup=False, highlight=False)
        self._head(5, "Deliveries", "each with one key, the same on every attempt")
        for one in received.taken:
            proof = "signature verified" if one.verified else "signature WRONG"
            self._console.print(
                f"   {one.change:<8} webhook answered {one.status}, {proof}, key {one.key}",
                markup=False,
            )
        if firing.resolved and any(one.change == Occasion.RESOLVE for one in received.taken):
            self._console.print(
                f"   The resolve followed when the pods had been well long enough: "
                f"{firing.resolved:%H:%M:%S}.",
                markup=False,
            )

    def _show_firing(self, firing: FiringRow) -> None:
        self._head(2, "Firing", f"rule {firing.rule}, at {firing.opened:%H:%M:%S}")
        key = ", ".join(f"{name} {value}" for name, value in firing.key.items())
        value = ", ".join(f"{name} = {one}" for name, one in firing.value.items())
        self._console.print(f"   {key}\n   {value}; {firing.id}", markup=False)


async def _beside(running: Engine, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` gives while the engine runs; what breaks the engine is raised."""
    going, working = asyncio.ensure_future(running.run()), asyncio.ensure_future(work)
    try:
        await asyncio.wait({going, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            going.result()
        return await working
    finally:
        going.cancel()
        working.cancel()
        await asyncio.gather(going, working, return_exceptions=True)


async def _until(done: Callable[[], object], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while not done():
        if asyncio.get_running_loop().time() > deadline:
            raise DogwatchError(f"demo: waited {WITHIN_S:g} s for {what} in vain")
        await asyncio.sleep(LOOK_S)


def _settings(folder: Path, received: Received) -> AppConfig:
    return AppConfig.model_validate(
        {
            "data_dir": str(folder),
            "sinks": {
                WEBHOOK: {
                    "type": "webhook",
                    "url": received.url,
                    "secret": received.secret,
                    "allow_loopback_http": True,
                }
            },
            "routes": [{"sinks": [WEBHOOK], "match": {"severity": ["critical", "high"]}}],
        }
    )


def command(invoked: str, found: str | None) -> str:
    """Return how a person calls dogwatch: by its name only where that finds this very one.

    Args:
        invoked: what this process was called as.
        found: the path of the `dogwatch` that a shell would run, if any.
    """
    if Path(invoked).name != NAME:
        return NAME  # called in some other way: from Python, by a test
    same = found is not None and os.path.realpath(found) == os.path.realpath(invoked)
    return NAME if same else shlex.quote(invoked)


def _say_what_next(console: Console, keep: Path | None) -> None:
    console.print("\n[bold]What next[/]")
    called = command(sys.argv[0], shutil.which(NAME))
    lines = {f"{called} {arguments}": what for arguments, what in NEXT.items()}
    if keep:
        lines[f"ls {keep}/snapshots"] = "the evidence of the mission"
    width = max(map(len, lines))
    for line, what in lines.items():
        console.print(f"   {line:<{width}}   {what}", markup=False)
