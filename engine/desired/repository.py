"""Where a desired state is, and the whole environment in which git is run for it."""

import base64
import hashlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from engine.model.errors import DesiredError

SCHEMES: Final = frozenset({"https", "ssh", "file"})
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
_PASSED: Final = ("PATH", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy")
_SETTINGS: Final[Mapping[str, str]] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "",
    "core.symlinks": "false",
    "core.attributesFile": os.devnull,
    "core.bigFileThreshold": "1m",  # larger ones are not held in memory while they are checked
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # one file, which the limit of a file's size holds for
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "pack.threads": "1",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.version": "2",
    "submodule.recurse": "false",
}


@dataclass(frozen=True)
class Repository:
    """Where a desired state is.

    Attributes:
        url: https://..., ssh://USER@..., or file:///...; no password in it.
        revision: branch, tag or commit; HEAD: the default branch.
        username: of the token, for https.
        token_file: its first line is sent as the password, for https.
        ca_file: who signs the server, for https.
        key_file, known_hosts_file: private key, and the keys of servers, for ssh.
    """

    url: str
    revision: str = "HEAD"
    username: str = "git"
    token_file: str | None = None
    ca_file: str | None = None
    key_file: str | None = None
    known_hosts_file: str | None = None

    def __post_init__(self) -> None:
        at = urlsplit(self.url)
        # git takes EXT::COMMAND for the URL of a program to run.
        if at.scheme not in SCHEMES or not self.url.startswith(f"{at.scheme}://"):
            raise ValueError(f"url must begin with one of {', '.join(sorted(SCHEMES))}://")
        if at.password is not None:
            raise ValueError("url must hold no password; give token_file")
        if not _REVISION.fullmatch(self.revision):
            raise ValueError("revision is no name of a branch, a tag or a commit")

    @property
    def folder(self) -> str:
        """Name of the folder that it is kept in, no other repository's."""
        return hashlib.sha256(f"{self.url}\0{self.revision}".encode()).hexdigest()[:24]


def environment(at: Repository, folder: Path) -> dict[str, str]:
    """Return the whole environment of git; the only place where a credential stands."""
    scheme = urlsplit(at.url).scheme
    settings = {**_SETTINGS, f"protocol.{scheme}.allow": "always"}
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    if scheme == "https" and at.token_file:
        pair = f"{at.username}:{_first_line(at.token_file)}"
        given = base64.b64encode(pair.encode()).decode()
        settings[f"http.{at.url}.extraHeader"] = f"Authorization: Basic {given}"
    if at.ca_file:
        environment["GIT_SSL_CAINFO"] = at.ca_file
    if scheme == "ssh":
        environment["GIT_SSH_COMMAND"] = _ssh(at)
    numbered = enumerate(settings.items())
    named = {
        f"GIT_CONFIG_{part}_{number}": text
        for number, pair in numbered
        for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        **environment,
        **named,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": str(folder),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(folder),
        "LC_ALL": "C",
    }


def _ssh(at: Repository) -> str:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "IdentitiesOnly": "yes",
        "IdentityFile": at.key_file or "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": at.known_hosts_file or os.devnull,
    }
    given = [word for name, text in options.items() for word in ("-o", f"{name}={text}")]
    return shlex.join(["ssh", "-F", os.devnull, *given])


def _first_line(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DesiredError("unauthorized", f"{file}: {why}") from error
    return text.partition("\n")[0].strip()
