"""What the shipped rules make of what watchers tell."""

from functools import cache
from pathlib import Path

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator

RULES = Path(__file__).parents[2] / "rules"


@cache
def shipped() -> RuleSet:
    loaded = load({str(path): path.read_bytes() for path in sorted(RULES.glob("*.yaml"))})
    assert [str(fault) for fault in loaded.faults] == []
    return loaded.rules


def moves(signals: list[Signal], *rules: str) -> list[tuple[str, State, dict[str, str]]]:
    """Return what the shipped `rules` do, in order: rule, state and key of each move."""
    evaluator = Evaluator(shipped())
    end = max(to_us(signal.time) for signal in signals)
    steps = [evaluator.step(signals), evaluator.advance(end)]
    told = [move for step in steps for move in step.transitions if move.rule in rules]
    return [(move.rule, move.state, dict(move.key)) for move in sorted(told, key=lambda m: m.at)]


def fired(signals: list[Signal], *rules: str) -> list[str]:
    """Return which of `rules` fire, in order of time."""
    return [name for name, state, _ in moves(signals, *rules) if state is State.FIRING]
