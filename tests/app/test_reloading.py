"""Rule files come into force as a whole, and the last good ones outlive a start with bad ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import meters
from engine.app.reloading import RuleFiles, Texts
from engine.model.errors import RuleError
from engine.model.ports import SystemClock
from engine.rules.rule import RuleSet
from engine.store.store import Store

RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: lab, owner: sre}
spec:
  intervals:
    nights:
      times: [{start_time: "22:00", end_time: "24:00"}]
      timezone: Europe/Berlin
  rules:
    - name: hot
      on: [{type: alert}]
      when: signal.data.celsius > 40
      by: [cluster, subject]
      mode: shadow
      debounce: 1m
      repeat: 4h
      max_per_hour: 6
      mute_during: [nights]
"""
TESTS = """\
apiVersion: dogwatch.dev/v1
kind: RuleTests
spec:
  tests:
    - rule: hot
      name: cool air is silent
      signals: [{at: 0s, type: alert, data: {celsius: 20}}]
      expect: [{at: 1m, state: inactive}]
"""
BAD = "apiVersion: dogwatch.dev/v1\nkind: RuleGroup\nspec: {rules: 7}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store.db", clock=SystemClock())
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "lab.yaml").write_text(RULES)
    return folder


class Swaps:
    """The rule sets that came into force after the start."""

    def __init__(self) -> None:
        self.sets: list[RuleSet] = []

    async def __call__(self, rules: RuleSet, texts: Texts) -> None:
        del texts
        self.sets.append(rules)


def files(folder: Path, swaps: Swaps | None = None) -> RuleFiles:
    return RuleFiles([folder], set(), swaps or Swaps())


def successful() -> float | None:
    return meters.REGISTRY.get_sample_value("dogwatch_config_last_reload_successful")


def test_limits_and_intervals_outlive_a_start_with_bad_files(store: Store, folder: Path) -> None:
    good = files(folder).first(store)
    (folder / "lab.yaml").write_text(BAD)
    kept = files(folder).first(store)
    assert kept == good
    (rule,) = kept.rules
    assert (rule.mode, rule.max_per_hour, rule.repeat_us) == ("shadow", 6, 14_400_000_000)
    assert [(one.name, one.times) for one in rule.mute_during] == [("nights", ((1320, 1440),))]
    assert successful() == 0


def test_files_of_tests_are_part_of_the_last_good_set(store: Store, folder: Path) -> None:
    (folder / "lab.test.yaml").write_text(TESTS)
    good = files(folder).first(store)
    assert [test["name"] for test in good.rules[0].tests] == ["cool air is silent"]
    (folder / "lab.test.yaml").write_text(BAD)
    assert files(folder).first(store) == good


def test_a_file_that_was_renamed_is_not_in_the_last_good_set_twice(
    store: Store, folder: Path
) -> None:
    files(folder).first(store)
    (folder / "lab.yaml").rename(folder / "house.yaml")
    files(folder).first(store)
    (folder / "house.yaml").write_text(BAD)
    assert [rule.name for rule in files(folder).first(store).rules] == ["hot"]


def test_without_an_earlier_set_bad_files_end_the_start(store: Store, folder: Path) -> None:
    (folder / "lab.yaml").write_text(BAD)
    with pytest.raises(RuleError):
        files(folder).first(store)


async def test_a_bad_file_among_good_ones_leaves_the_old_set_whole(
    store: Store, folder: Path
) -> None:
    swaps = Swaps()
    watched = files(folder, swaps)
    watched.first(store)
    (folder / "lab.yaml").write_text(RULES.replace("40", "50"))
    (folder / "other.yaml").write_text(BAD)
    assert await watched.reload()
    assert (swaps.sets, successful()) == ([], 0)
    (folder / "other.yaml").unlink()
    assert await watched.reload() == []
    assert (len(swaps.sets), successful()) == (1, 1)


def test_the_hash_of_the_rules_in_force_is_a_number(store: Store, folder: Path) -> None:
    good = files(folder).first(store)
    meters.in_force(len(good.rules), good.digest)
    told = meters.REGISTRY.get_sample_value("dogwatch_config_hash")
    assert told == int(good.digest[:13], 16)
    meters.in_force(0, "")
    assert meters.REGISTRY.get_sample_value("dogwatch_config_hash") == 0
