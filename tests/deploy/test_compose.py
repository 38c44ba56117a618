"""deploy/compose.yaml and what it names agree with one another, and ask for no more than needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import typer

from engine.app.configured import load_config
from engine.app.roles import Role
from engine.cli import app
from tests.deploy.scene import COMPOSE, DEPLOY, OURS, SECRETS, SERVICES, lay_out, mounts
from tests.readme import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from engine.app.config import AppConfig

each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)
WRITES_ITS_SETTINGS = {"kafka"}
"""Images that write below their own root when they start."""


def laid_out(folder: Path, name: str) -> AppConfig:
    return load_config(str(lay_out(folder, OURS[name])), {})


@each_service
def test_each_image_has_a_version(name: str) -> None:
    tag = re.fullmatch(r"[\w./-]+:([\w.-]+)", SERVICES[name]["image"])
    assert tag is not None
    assert tag[1] != "latest"
    assert re.match(r"\d+(\.\d+)*", tag[1])


@each_service
def test_each_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "not root, whatever the image says"
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service.get("read_only", False) is (name not in WRITES_ITS_SETTINGS)
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)


@each_service
def test_each_service_comes_back_and_says_how_it_fares(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    for other, wait in service.get("depends_on", {}).items():
        assert other in SERVICES
        assert wait == {"condition": "service_healthy"}


def test_what_is_named_is_declared_and_what_is_declared_is_used() -> None:
    used: dict[str, set[str]] = {"volumes": set(), "secrets": set(), "networks": set()}
    for service in SERVICES.values():
        used["secrets"] |= set(service.get("secrets", ()))
        used["networks"] |= set(service["networks"])
        sources = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        used["volumes"] |= {source for source in sources if not source.startswith(".")}
    assert {kind: set(COMPOSE[kind]) for kind in used} == used


def test_every_file_that_is_mounted_exists_or_is_a_secret_that_people_make() -> None:
    for service in SERVICES.values():
        for place, source in mounts(service).items():
            if source.startswith("./secrets/"):
                assert source.removeprefix("./secrets/") in SECRETS, place
            elif source.startswith("."):
                assert (DEPLOY / source).exists(), source


def test_no_secret_stands_in_a_file() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD(?!_FILE)|TOKEN(?!_FILE)", key), (key, value)


def test_each_role_has_one_service() -> None:
    roles = [service["command"][2] for service in OURS.values()]
    # The agent of a node is a DaemonSet: deploy/node-agent.yaml.
    assert sorted(roles) == sorted(set(Role) - {Role.NODE})
    assert OURS["worker"]["deploy"]["replicas"] == 2


@each_of_ours
def test_each_command_is_one_that_dogwatch_knows(name: str) -> None:
    verb, *arguments = OURS[name]["command"]
    command: Any = typer.main.get_command(app)
    called = command.commands[verb].make_context(verb, list(arguments))
    assert called.params["role"]


@each_of_ours
def test_each_configuration_is_good_with_what_the_service_mounts(name: str, tmp_path: Path) -> None:
    settings = laid_out(tmp_path, name)
    assert settings.store.shared
    assert settings.bus.kafka is not None


@each_of_ours
def test_who_reads_clusters_has_the_kubeconfig_and_nobody_else(name: str) -> None:
    secrets = OURS[name]["secrets"]
    assert ("kubeconfig" in secrets) is (name in {"watcher", "runner", "writer"})
    assert ("writer_kubeconfig" in secrets) is (name == "writer")


def test_brokers_and_database_are_where_the_configuration_looks_for_them(tmp_path: Path) -> None:
    settings = laid_out(tmp_path, "worker")
    kafka = settings.bus.kafka
    assert kafka is not None
    assert settings.store.url is not None
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert [f"INSIDE://{broker}" for broker in kafka.brokers] == [advertised]
    database = SERVICES["db"]["environment"]
    url = f"postgresql://{database['POSTGRES_USER']}@db:5432/{database['POSTGRES_DB']}"
    assert settings.store.url.get_secret_value() == url
    for service in OURS.values():
        assert set(SERVICES["db"]["networks"]) <= set(service["networks"])


def test_what_is_unsafe_is_allowed_by_name_as_there_is_one_broker(tmp_path: Path) -> None:
    kafka = laid_out(tmp_path, "worker").bus.kafka
    assert kafka is not None
    assert (kafka.replication_factor, kafka.min_insync_replicas) == (1, 1)
    assert set(kafka.allow_unsafe) == {"replication_factor", "min_insync_replicas"}


def test_the_port_is_the_one_that_dogwatch_listens_at(tmp_path: Path) -> None:
    settings = laid_out(tmp_path, "web")
    port = settings.http.listen.rpartition(":")[2]
    assert OURS["web"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    probe = OURS["web"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{port}/readyz" in probe
    assert f"EXPOSE {port}\n" in (DEPLOY / "Containerfile").read_text()


def test_nobody_outside_reaches_broker_and_database() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("kafka", "db"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]


def test_the_evidence_of_missions_is_kept(tmp_path: Path) -> None:
    lay_out(tmp_path, OURS["runner"])
    kept = [place for place, source in mounts(OURS["runner"]).items() if source == "evidence"]
    written = re.search(r"^data_dir: (.*)$", (DEPLOY / "scale-out.yaml").read_text(), re.MULTILINE)
    assert written is not None
    assert kept == [written[1]]


def test_secrets_do_not_get_into_the_history() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/deploy/secrets/" in ignored
