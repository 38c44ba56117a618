"""Repositories of git: fetched by the program `git`, read without a checkout.

A repository is kept bare and its files are read out of it as they are: no links are followed, no
hooks, filters, attributes or submodules run, and nothing is written outside the folder of the
cache. What a file of the tree is called decides nothing but the key that it is found under.
"""

import base64
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from engine.desired.program import Bounds, Program, found
from engine.model.errors import DesiredError

SCHEMES: Final = frozenset({"https", "ssh", "file"})
REVISION: Final = r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}\Z"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
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
_UNAUTHORIZED = re.compile(
    r"(?i)authentication failed|permission denied|could not read (?:username|password)"
    r"|returned error: 40[13]|host key verification"
)
_NOT_FOUND = re.compile(
    r"(?i)couldn't find remote ref|repository .* not found|does not appear to be a git"
    r"|returned error: 404|not our ref|unadvertised object"
)
_UNREACHABLE = re.compile(
    r"(?i)could not resolve|connection (?:refused|timed out|reset)|failed to connect"
    r"|unable to access|could not read from remote|hung up|early eof|ssl"
)
_NEAR: Final = 1 << 16
"""How near to the limit a pack ends that was cut off there."""
_KINDS: Final[Mapping[str, str]] = {"120000": "a link", "160000": "a submodule"}


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
        if not re.match(REVISION, self.revision):
            raise ValueError("revision is no name of a branch, a tag or a commit")

    @property
    def folder(self) -> str:
        """Name of the folder that it is kept in, no other repository's."""
        return hashlib.sha256(f"{self.url}\0{self.revision}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Limits:
    """What is read of one repository: seconds, bytes of its pack and of files, and files."""

    wall_s: float = 60.0
    pack: int = 256 << 20
    files: int = 50_000
    file: int = 4 << 20
    total: int = 64 << 20


LIMITS: Final = Limits()


@dataclass(frozen=True)
class Entry:
    """One file of a tree: its blob and its size in bytes."""

    blob: str
    size: int


@dataclass
class Tree:
    """Files of one commit by path; `odd` says what some are that are no plain files."""

    commit: str
    entries: dict[str, Entry] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)


class Checkout:
    """One repository, kept in a folder below `cache`, of which files are read, never run."""

    def __init__(self, repository: Repository, cache: Path, limits: Limits = LIMITS) -> None:
        self._repository = repository
        self._folder = cache / repository.folder
        self._limits = limits

    def fits(self, entry: Entry) -> bool:
        """Whether a file is small enough to be read."""
        return entry.size <= self._limits.file

    async def fetch(self) -> str:
        """Fetch the revision and return its commit.

        Raises:
            DesiredError: `unreachable`, `unauthorized`, `not-found`, `timeout`, `too-large`,
                `unavailable` without git; the text names the repository, never a credential.
        """
        at = self._repository
        git = self._git()
        if _size(self._folder) > self._limits.pack // 2:
            shutil.rmtree(self._folder)
        try:
            if not (self._folder / "HEAD").exists():
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                await git.run(["init", "--bare", "--quiet", "--template=", "."], self._bounds)
            wanted = f"+{at.revision}:refs/dogwatch/desired"
            options = ["--depth=1", "--no-tags", "--force", "--no-write-fetch-head", "--quiet"]
            await git.run(["fetch", *options, "--", at.url, wanted], self._bounds)
            commit = await git.run(
                ["rev-parse", "--verify", "refs/dogwatch/desired^{commit}"], self._bounds
            )
        except DesiredError as error:
            where = f"{at.url} at {at.revision}"
            if self._discarded() >= self._limits.pack - _NEAR:
                told = f"{where}: more than {self._limits.pack >> 20} MiB"
                raise DesiredError("too-large", told) from error
            raise DesiredError(_reason(error), f"{where}: {error}") from error
        return commit.decode().strip()

    async def tree(self, commit: str, under: str = "") -> Tree:
        """Return the files of `commit` below the folder `under`.

        Raises:
            DesiredError: `too-large` for more files than allowed; `malformed`; `not-found` where
                there is no such folder.
        """
        tree = Tree(commit)
        arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", commit, *_below(under)]
        async with self._git().output(arguments, self._bounds) as chunks:
            async for record in _records(chunks):
                _enter(tree, record)
                if len(tree.entries) + len(tree.odd) > self._limits.files:
                    told = f"more than {self._limits.files} files below '{under or '.'}'"
                    raise DesiredError("too-large", f"{self._repository.url}: {told}")
        if not tree.entries and under:
            told = f"{self._repository.url} at {self._repository.revision}: no files in '{under}'"
            raise DesiredError("not-found", told)
        return tree

    async def read(self, tree: Tree, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the content of files of `tree` by path.

        Raises:
            DesiredError: `too-large` for one file, or all together.
        """
        wanted = {path: tree.entries[path] for path in paths}
        for path, entry in wanted.items():
            if not self.fits(entry):
                raise DesiredError("too-large", f"{path} has {entry.size} bytes")
        total = sum(entry.size for entry in wanted.values())
        if total > self._limits.total:
            told = f"{len(wanted)} files of {total >> 20} MiB together"
            raise DesiredError("too-large", f"{self._repository.url}: {told}")
        blobs = sorted({entry.blob for entry in wanted.values()})
        asked = "".join(f"{blob}\n" for blob in blobs).encode()
        bounds = Bounds(self._limits.wall_s, output=total + 200 * len(blobs) + 1)
        written = await self._git().run(["cat-file", "--batch"], bounds, asked)
        try:
            contents = dict(_contents(written))
            return {path: contents[entry.blob] for path, entry in wanted.items()}
        except (KeyError, ValueError) as error:
            raise DesiredError("malformed", f"{self._repository.url}: files are lost") from error

    @property
    def _bounds(self) -> Bounds:
        return Bounds(self._limits.wall_s, output=self._limits.files * 600, file=self._limits.pack)

    def _git(self) -> Program:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = found("git", None, "install git where dogwatch runs")
        return Program(path, _environment(self._repository, self._folder), self._folder)

    def _discarded(self) -> int:
        """Take away packs that were begun and never ended; return the size of the largest."""
        begun = list(self._folder.glob("objects/pack/tmp_*"))
        largest = max((part.stat().st_size for part in begun), default=0)
        for part in begun:
            part.unlink()
        return largest


def _environment(at: Repository, folder: Path) -> dict[str, str]:
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


def _reason(error: DesiredError) -> str:
    """Return the word for what git said of a server; what it says else is about the files."""
    if error.reason != "malformed":
        return error.reason
    said = str(error)
    patterns = (
        ("unauthorized", _UNAUTHORIZED),
        ("not-found", _NOT_FOUND),
        ("unreachable", _UNREACHABLE),
    )
    return next((word for word, pattern in patterns if pattern.search(said)), "malformed")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("objects/pack/*") if file.is_file())


def _below(under: str) -> list[str]:
    """Return the arguments that name a folder as it is called, with no pattern in it."""
    return ["--", f"{under.rstrip('/')}/"] if under else []


async def _records(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what stands between zero bytes."""
    left = b""
    async for chunk in chunks:
        *whole, left = (left + chunk).split(b"\0")
        for record in whole:
            yield record


def _enter(tree: Tree, record: bytes) -> None:
    """Enter one record of ls-tree: MODE TYPE BLOB SIZE, a tab, PATH."""
    about, _, name = record.partition(b"\t")
    mode, _, blob, size = about.decode("ascii", errors="replace").split()
    path = name.decode(errors="replace")
    if not is_inside(path) or "\ufffd" in path:
        tree.odd[path] = "a name that leads elsewhere"
    elif mode in _KINDS:
        tree.odd[path] = _KINDS[mode]
    elif _COMMIT.fullmatch(blob) and size.isdecimal():
        tree.entries[path] = Entry(blob, int(size))


def is_inside(path: str) -> bool:
    """Whether `path` names something below the folder that it is read from."""
    parts = path.split("/")
    sound = all(part not in {"", ".", ".."} and part.lower() != ".git" for part in parts)
    return sound and not PurePosixPath(path).is_absolute() and path.isprintable()


def _contents(written: bytes) -> Iterable[tuple[str, bytes]]:
    """Yield (blob, content) of what cat-file wrote: BLOB TYPE SIZE, a line break, the content."""
    at = 0
    while at < len(written):
        end = written.index(b"\n", at)
        blob, _, size = written[at:end].decode().split()
        yield blob, written[end + 1 : end + 1 + int(size)]
        at = end + int(size) + 2
