"""Explaining: why a key of a rule is in its state, live from the store or on a replay."""

from collections.abc import Sequence
from pathlib import Path

from engine.app.opening import stored
from engine.app.replaying import instant, records
from engine.app.rule_files import load_paths
from engine.model.errors import DogwatchError
from engine.model.firing import State, Transition
from engine.model.instant import to_us
from engine.rules.rule import RuleSet
from engine.store.firings import FiringRow
from engine.store.store import Store
from engine.stream.evaluator import Evaluator
from engine.stream.explain import Explanation, Witness, explain, reader_of

_FIRINGS = 200


def key_of(text: str) -> dict[str, str]:
    """Return the part of a group key that `namespace=shop,workload=web` names.

    Raises:
        DogwatchError: `text` is no such list.
    """
    parts = [one.partition("=") for one in text.split(",") if one]
    if not all(name and sign for name, sign, _ in parts):
        raise DogwatchError(f"'{text}' is no group key; write for example namespace=shop,name=web")
    return {name.strip(): value for name, _, value in parts}


def explained_replay(
    rule: str, key: str, *, rules: Sequence[Path], signals: str, at: str | None
) -> Explanation:
    """Return why `key` of `rule` is in its state after the recorded `signals`, up to `at`.

    Raises:
        RuleError, DogwatchError: rules, signals or an argument were refused; no such key.
    """
    loaded, until = load_paths(rules), instant("--at", at)
    evaluator = Evaluator(loaded)
    witness = Witness(reader_of(evaluator, rule, _names(loaded)))
    for record in records(signals):
        within = [one for one in record if until is None or to_us(one.time) <= until]
        witness.see(within)
        witness.hear(evaluator.step(within))
    if until is not None:
        witness.hear(evaluator.advance(until))
    return explain(evaluator, rule, key_of(key), witness, at=until)


def explained_live(
    rule: str, key: str, *, rules: Sequence[Path], config: str, at: str | None
) -> Explanation:
    """Return why `key` of `rule` is in its state, by the last checkpoint of the store.

    The engine may run meanwhile; nothing is written. `rules` empty: those of the configuration.

    Raises:
        RuleError, DogwatchError: rules or an argument were refused; no such key.
        StoreError: nothing is stored yet.
    """
    if at is not None:
        raise DogwatchError("--at looks back on a replay only; give --signals with the recording")
    with stored(config) as (store, settings):
        loaded = load_paths(rules or [Path(one) for one in settings.rules])
        return explained(store, loaded, rule, key)


def explained(store: Store, rules: RuleSet, rule: str, key: str) -> Explanation:
    """Return why `key` of `rule` is in its state, by the last checkpoint of `store`.

    Raises:
        DogwatchError: no such rule, or no such key.
        StoreError: the store did not answer.
    """
    state: dict[str, bytes] = {}
    for partition in store.positions():  # their clusters differ, so do their keys
        state |= store.load(partition).state
    held = store.firings(rule=rule, limit=_FIRINGS)
    evaluator = Evaluator(rules, state)
    witness = Witness(reader_of(evaluator, rule, _names(rules)))
    witness.moves += sorted((one for row in held for one in _moves(row)), key=lambda one: one.at)
    return explain(evaluator, rule, key_of(key), witness)


def _names(rules: RuleSet) -> list[str]:
    return [one.name for one in rules.rules]


def _moves(row: FiringRow) -> list[Transition]:
    """Return the opening and the end of a stored firing."""
    opened = Transition(to_us(row.opened), row.rule, row.key, State.FIRING, row.value, row.id)
    if row.resolved is None:
        return [opened]
    end = Transition(
        to_us(row.resolved), row.rule, row.key, State.RESOLVED, firing=row.id, reason=row.reason
    )
    return [opened, end]
