"""durable_rules finds the joins that plain sets find, within what it can bear, in flat memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from engine.stream.joins import MOST_IN_RULESET, Join, Joins

KEYS = ("k1", '["a", "ö\\"x"]', "\0\ud800{}", "x" * 1_000)
NAMES = tuple(f"r{n}" for n in range(7))


def a_join(random: Random, name: str) -> Join:
    """Return a join of up to seven rules."""
    names = random.sample(NAMES, len(NAMES))
    first = random.randint(0, 5)
    second = random.randint(first or 1, 7)
    third = random.randint(second, 7)
    lists = (names[:first], names[first:second], names[second:third])
    return Join(name, random.choice(("x", "y")), *map(tuple, lists))


@pytest.mark.parametrize("seed", range(200))
def test_joins_are_those_of_plain_sets(seed: int) -> None:
    _check(seed)


def test_joins_of_several_threads_know_nothing_of_one_another() -> None:
    """An evaluator folds in one thread, while others are loaded or explain in theirs."""
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_check, range(200, 260))) == [None] * 60


def test_joins_that_one_thread_compiled_work_in_another() -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(Joins, [Join("j", "x", ("a", "b"))]).result()
        pool.submit(found.assert_fact, "x", "a", "k").result()
    found.assert_fact("x", "b", "k")
    assert found.met("j", "k")


def _check(seed: int) -> None:
    random = Random(seed)
    joins = [a_join(random, f"j{n}") for n in range(random.randint(1, 5))]
    facts: set[tuple[str, str, str]] = set()
    found = Joins(joins)
    for _ in range(80):
        fact = (random.choice(("x", "y")), random.choice(NAMES), random.choice(KEYS))
        if fact in facts:
            facts.discard(fact)
            found.retract_fact(*fact)
        else:
            facts.add(fact)
            found.assert_fact(*fact)
        for join in joins:
            for key in KEYS:
                assert found.met(join.name, key) is met(join, key, facts)


def met(join: Join, key: str, facts: set[tuple[str, str, str]]) -> bool:
    def there(rule: str) -> bool:
        return (join.labels, rule, key) in facts

    some = any(map(there, join.any)) or not join.any
    return all(map(there, join.all)) and some and not any(map(there, join.none))


def test_more_joins_than_a_ruleset_can_bear_are_dealt_out() -> None:
    count = MOST_IN_RULESET
    joins = [Join(f"j{n}", "x", (f"a{n}", f"b{n}", "c"), none=(f"d{n}",)) for n in range(count)]
    found = Joins(joins)
    found.assert_fact("x", "c", "k")
    for n in range(count):
        found.assert_fact("x", f"a{n}", "k")
        found.assert_fact("x", f"b{n}", "k")
    found.assert_fact("x", "d7", "k")
    assert [n for n in range(count) if not found.met(f"j{n}", "k")] == [7]
    found.retract_fact("x", "c", "k")
    assert not any(found.met(f"j{n}", "k") for n in range(count))


def test_memory_is_flat_while_facts_come_and_go() -> None:
    """No fact of the past is kept, however many keys there were."""
    found = Joins([Join("j", "x", ("a", "b", "c"), ("d", "e"), ("f", "g"))])
    _churn(found, 0, 500)
    before = _resident_mib()
    _churn(found, 500, 3_000)
    assert _resident_mib() - before < 4


def test_memory_is_flat_while_rules_are_compiled_again_and_again() -> None:
    for _ in range(60):
        Joins([Join(f"j{n}", "x", ("a", f"b{n}")) for n in range(20)])
    before = _resident_mib()
    for _ in range(300):
        Joins([Join(f"j{n}", "x", ("a", f"b{n}")) for n in range(20)])
    assert _resident_mib() - before < 16


def _churn(found: Joins, start: int, end: int) -> None:
    for n in range(start, end):
        for rule in ("a", "b", "c", "d", "f", "g"):
            found.assert_fact("x", rule, f"k{n}")
        for rule in ("f", "g", "d", "a", "c", "b"):
            found.retract_fact("x", rule, f"k{n}")


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
