"""Kafka or PostgreSQL away, closed or wrong: one clear line, not ready, nothing lost, it heals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.lab import a_beat, an_alarm
from tests.acceptance.scaled import scaled
from tests.testbeds.properties import GUEST, PASSWORDS, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kafka import Cluster
    from tests.testbeds.postgres import Postgres

pytestmark = pytest.mark.real


def test_a_broker_that_goes_away_and_comes_back_loses_nothing(
    tmp_path: Path, kafka: Cluster, database: str
) -> None:
    with scaled(tmp_path / "lab", database, kafka) as dogwatch:
        assert dogwatch.ready_soon(), dogwatch.page()
        assert dogwatch.fires("before")
        kafka.kill()
        assert dogwatch.answers([an_alarm("meanwhile")]) == 503
        dogwatch.unready("[-] bus")
        kafka.start()
        assert dogwatch.fires("after")
        assert dogwatch.ready_soon(), dogwatch.page()


def test_a_broker_that_is_not_there_at_the_start_is_waited_for(
    tmp_path: Path, kafka: Cluster, database: str
) -> None:
    kafka.kill()
    with scaled(tmp_path / "lab", database, kafka) as dogwatch:
        dogwatch.unready("[-] topics", kafka.bootstrap)
        kafka.start()
        assert dogwatch.ready_soon(), dogwatch.page()
        assert dogwatch.fires("first")


@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        (USER, "wrong", "password was refused"),
        (GUEST, PASSWORDS[GUEST], "no right"),
    ],
)
def test_who_may_not_is_told_so_in_one_line_without_the_password(
    tmp_path: Path, kafka: Cluster, database: str, user: str, password: str, says: str
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "secret").write_text(password)
    sasl = {"mechanism": "PLAIN", "username": user, "password_file": "secret"}
    brokers = kafka.sasl_bootstrap.split(",")
    with scaled(folder, database, kafka, brokers=brokers, sasl=sasl) as dogwatch:
        told = dogwatch.unready("[-] topics", says)
        assert password not in told
        assert password not in (folder / "dogwatch.log").read_text()


def test_topics_that_may_not_be_made_are_waited_for(
    tmp_path: Path, kafka: Cluster, database: str
) -> None:
    with scaled(tmp_path / "lab", database, kafka, create_topics=False) as dogwatch:
        told = dogwatch.unready("[-] topics", "create_topics")
        prefix = told.partition("topic ")[2].partition("signals")[0].strip("'")
        for name in ("signals", "conditions", "quarantine"):
            kafka.topics.create(prefix + name)
        assert dogwatch.ready_soon(), dogwatch.page()


def test_a_topic_that_forgets_is_refused_by_the_name_of_its_setting(
    tmp_path: Path, kafka: Cluster, database: str
) -> None:
    with scaled(tmp_path / "lab", database, kafka, create_topics=False) as dogwatch:
        told = dogwatch.unready("[-] topics", "create_topics")
        prefix = told.partition("topic ")[2].partition("signals")[0].strip("'")
        for name in ("conditions", "quarantine"):
            kafka.topics.create(prefix + name)
        kafka.topics.create(f"{prefix}signals", cleanup_policy="compact")
        dogwatch.unready("[-] topics", "cleanup_policy")
        kafka.topics.configure(f"{prefix}signals", cleanup_policy="delete")
        assert dogwatch.ready_soon(), dogwatch.page()


def test_a_store_that_is_not_there_at_the_start_is_waited_for(
    tmp_path: Path, kafka: Cluster, a_postgres: Postgres
) -> None:
    url = a_postgres.url(a_postgres.database())
    a_postgres.stop()
    with scaled(tmp_path / "lab", url, kafka) as dogwatch:
        told = dogwatch.unready("[-] store", str(a_postgres.port))
        assert a_postgres.password not in told
        a_postgres.start()
        assert dogwatch.ready_soon(), dogwatch.page()
        assert dogwatch.fires("first")


def test_a_store_that_crashes_loses_nothing(
    tmp_path: Path, kafka: Cluster, a_postgres: Postgres
) -> None:
    url = a_postgres.url(a_postgres.database())
    with scaled(tmp_path / "lab", url, kafka) as dogwatch:
        assert dogwatch.ready_soon(), dogwatch.page()
        assert dogwatch.fires("before")
        a_postgres.crash()
        assert dogwatch.answers([an_alarm("meanwhile"), a_beat()]) == 202
        dogwatch.unready("[-] store")
        dogwatch.process.stop()
        assert dogwatch.log()[-1]["event"] == "stopped"
        dogwatch.process.start()
        a_postgres.start()
        assert dogwatch.fires("after")
        assert dogwatch.fires("meanwhile")
        assert dogwatch.ready_soon(), dogwatch.page()


def test_a_store_of_a_newer_dogwatch_is_left_alone(
    tmp_path: Path, kafka: Cluster, a_postgres: Postgres
) -> None:
    name = a_postgres.database()
    with scaled(tmp_path / "old", a_postgres.url(name), kafka) as dogwatch:
        assert dogwatch.ready_soon(), dogwatch.page()
    (at,) = a_postgres.execute("SELECT version_num FROM alembic_version", name)[0]
    a_postgres.execute("UPDATE alembic_version SET version_num = '9999'", name)
    with scaled(tmp_path / "new", a_postgres.url(name), kafka) as dogwatch:
        dogwatch.unready("[-] store", "9999", "newer")
        a_postgres.execute(f"UPDATE alembic_version SET version_num = '{at}'", name)
        assert dogwatch.ready_soon(), dogwatch.page()
