"""The policy comes into force as a whole, outlives bad files and restarts, or there is none."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine import meters
from engine.app.config import AppConfig
from engine.app.policies import Policies
from engine.app.policy_file import asked, faults_of, places_of, read_policy
from engine.changes.policy import Place, Policy
from engine.model.change import Risk
from engine.model.errors import ConfigError, DogwatchError, StoreError
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.testbeds.process import eventually

GOOD = """\
users: {ada: {email: ada@example.com}}
groups: {sre: [ada]}
approvers: [{clusters: [prod], risks: [safe], groups: [sre]}]
"""
BETTER = GOOD.replace("safe", "disruptive")
BAD = GOOD.replace("[sre]", "[sri]")
CLUSTERS = {"prod": Place()}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store.db", clock=SystemClock())
    yield store
    store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def policies(file: Path | str, store: Store) -> Policies:
    return Policies(str(file), CLUSTERS, store)


def write(file: Path, text: str | None) -> None:
    """Let `text` be in the file, or let there be none."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


def risk(policy: Policy | None) -> str:
    """Return what tells the policies of this file apart."""
    return "" if policy is None else policy.file.approvers[0].risks[0]


def told(name: str) -> float | None:
    return meters.REGISTRY.get_sample_value(f"dogwatch_policy_{name}")


def test_a_good_file_is_in_force_from_the_start(store: Store, file: Path) -> None:
    held = policies(file, store)
    assert held.policy is None
    assert risk(held.first()) == risk(held.policy) == "safe"
    assert (told("in_force"), told("last_reload_successful")) == (1, 1)
    assert store.last_policy() == GOOD


def test_a_bad_file_leaves_the_policy_before_it_over_a_restart(store: Store, file: Path) -> None:
    policies(file, store).first()
    for broken in (BAD, "", GOOD[:40], "{"):
        file.write_text(broken)
        assert risk(policies(file, store).first()) == "safe"
        assert (told("in_force"), told("last_reload_successful")) == (1, 0)
    file.unlink()
    assert risk(policies(file, store).first()) == "safe"


def test_with_none_that_was_ever_good_there_is_no_policy(store: Store, file: Path) -> None:
    file.write_text(BAD)
    assert policies(file, store).first() is None
    assert (told("in_force"), told("last_reload_successful")) == (0, 0)


def test_the_last_good_one_has_to_fit_the_configuration_of_now(store: Store, file: Path) -> None:
    policies(file, store).first()
    file.write_text(BAD)
    moved = Policies(str(file), {"prod-eu": Place()}, store)
    assert moved.first() is None
    assert told("in_force") == 0


async def test_without_a_file_there_never_is_a_policy(store: Store, file: Path) -> None:
    policies(file, store).first()
    none = policies("", store)
    assert none.first() is None
    assert await none.reload() == []
    await none.run()
    assert none.policy is None


async def test_a_reload_takes_a_good_file_and_tells_the_faults_of_a_bad_one(
    store: Store, file: Path
) -> None:
    held = policies(file, store)
    held.first()
    write(file, BETTER)
    assert await held.reload() == []
    assert risk(held.policy) == "disruptive"
    refused = told("refused_total") or 0
    write(file, BAD)
    for _ in range(2):
        (fault,) = await held.reload()
        assert fault.endswith("unknown group 'sri'; known: sre; did you mean 'sre'?")
    assert risk(held.policy) == "disruptive"
    assert told("refused_total") == refused + 1
    assert store.last_policy() == BETTER
    write(file, None)
    assert await held.reload() == [f"{file}: No such file or directory"]
    write(file, GOOD)
    assert await held.reload() == []
    assert (risk(held.policy), told("last_reload_successful")) == ("safe", 1)


async def test_a_changed_file_is_taken_without_being_asked(store: Store, file: Path) -> None:
    held = policies(file, store)
    held.first()
    watching = asyncio.create_task(held.run())
    write(file, BETTER)
    assert await asyncio.to_thread(eventually, lambda: risk(held.policy) == "disruptive" or None)
    write(file, BAD)
    ok = "last_reload_successful"
    assert await asyncio.to_thread(eventually, lambda: told(ok) == 0 or None)
    assert risk(held.policy) == "disruptive"
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


class Away:
    """A store that is away for as long as `away` is true."""

    def __init__(self) -> None:
        self.away = True

    def keep_policy(self, text: str, digest: str) -> None:
        del text, digest
        if self.away:
            raise StoreError("the store is away")

    def last_policy(self) -> str | None:
        raise StoreError("the store is away")


async def test_a_policy_that_could_not_be_kept_is_not_in_force_and_is_tried_again(
    file: Path,
) -> None:
    away = Away()
    held = Policies(str(file), CLUSTERS, away)
    assert held.first() is None
    assert await held.reload() == ["the store is away"]
    away.away = False
    assert await held.reload() == []
    assert risk(held.policy) == "safe"


def settings() -> AppConfig:
    cluster = {"name": "prod", "labels": {"env": "prod"}, "groups": ["eu"]}
    return AppConfig.model_validate({"clusters": [cluster]})


def test_a_file_is_read_for_the_clusters_of_the_configuration(file: Path) -> None:
    assert places_of(settings()) == {"prod": Place({"env": "prod"}, ("eu",))}
    assert read_policy(str(file), settings()).clusters is not None
    file.write_text(GOOD.replace("[prod]", "[prdo]"))
    assert read_policy(str(file)).clusters is None
    with pytest.raises(ConfigError, match="did you mean 'prod'"):
        read_policy(str(file), settings())


def test_a_question_is_answered_by_the_policy_of_the_configuration(
    file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("clusters: [{name: prod}]\nchanges: {policy_file: policy.yaml}\n")
    answer = asked(("prod", "shop"), Risk.SAFE, policy=None, config=str(config), at=None)
    assert (answer.people, answer.groups) == (1, ("sre",))
    assert faults_of(str(file), str(config))[1] == []
    config.write_text("clusters: [{name: prod}]\n")
    with pytest.raises(ConfigError, match=r"names no changes\.policy_file"):
        asked(("prod", ""), Risk.SAFE, policy=None, config=str(config), at=None)
    with pytest.raises(DogwatchError, match="--at: 'noon' is no instant"):
        asked(("prod", ""), Risk.SAFE, policy=str(file), config=None, at="noon")
