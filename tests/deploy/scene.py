"""The files of deploy/ as they are used: paths of containers mapped to a folder, names to hosts."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.readme import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {
    name: service for name, service in SERVICES.items() if service["image"].startswith("dogwatch:")
}
SECRETS: Final = {
    "db_password": "correct horse",
    "http_token": "let me in",
    "signing_key": "0123456789abcdef" * 4,
    "kubeconfig": "{}",
    "writer_kubeconfig": "{}",
}
RUN_SECRETS: Final = "/run/secrets/"


def config_inside(service: Mapping[str, Any]) -> str:
    """Return where a service of ours looks for its configuration."""
    command: list[str] = service["command"]
    return command[command.index("--config") + 1]


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Return place within the container -> file, folder or volume that is mounted there."""
    found: dict[str, str] = {}
    for volume in service.get("volumes", ()):
        source, place, *_ = volume.split(":")
        found[place] = source
    for secret in service.get("secrets", ()):
        found[RUN_SECRETS + secret] = COMPOSE["secrets"][secret]["file"]
    return found


def lay_out(folder: Path, service: Mapping[str, Any]) -> Path:
    """Copy what a service of ours mounts below `folder`; return its configuration there.

    Within the configuration the paths of the container become those below `folder`.
    """
    for place, source in mounts(service).items():
        target = folder / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if place.startswith(RUN_SECRETS):
            target.write_text(SECRETS[target.name] + "\n")
        elif not source.startswith("."):
            target.mkdir(exist_ok=True)
        elif (DEPLOY / source).is_dir():
            shutil.copytree(DEPLOY / source, target, dirs_exist_ok=True)
        else:
            shutil.copy(DEPLOY / source, target)
    config = folder / config_inside(service).lstrip("/")
    text = config.read_text()
    config.write_text(re.sub(r"(?<![\w:/.])(/(?:run|etc|var)/)", rf"{folder}\1", text))
    return config


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, arguments) of each line of the Containerfile."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> list[str]:
    """Return what the Containerfile copies from the checkout."""
    found: list[str] = []
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            found += shlex.split(rest)[:-1]
    return found
