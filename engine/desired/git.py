"""Repositories of git: fetched by the program `git`, read without a checkout.

A repository is kept bare and its files are read out of it as they are: no links are followed, no
hooks, filters, attributes or submodules run, and nothing is written outside the folder of the
cache. What a file of the tree is called decides nothing but the key that it is found under.
"""

import re
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from engine.desired.program import Bounds, Meaning, Program, Words, found
from engine.desired.repository import Repository, environment
from engine.model.errors import DesiredError

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MEANINGS: Final = tuple(
    Meaning(re.compile(f"(?i){pattern}"), reason, sentence)
    for pattern, reason, sentence in (
        (r"host key verification", "unauthorized", "the server is not one of the known hosts"),
        (r"authentication failed|permission denied|could not read (?:username|password)",
         "unauthorized", "the server wants other credentials"),
        (r"returned error: 40[13]", "unauthorized", "the server wants other credentials"),
        (r"couldn't find remote ref|not our ref|unadvertised object", "not-found",
         "there is no such revision"),
        (r"repository .* not found|does not appear to be a git|returned error: 404", "not-found",
         "there is no such repository"),
        (r"could not resolve", "unreachable", "the name of the server can not be resolved"),
        (r"connection (?:refused|timed out|reset)|failed to connect", "unreachable",
         "the server does not answer"),
        (r"certificate|ssl", "unreachable", "the server is not trusted"),
        (r"unable to access|could not read from remote|hung up|early eof", "unreachable",
         "the server can not be read from"),
    )
)  # fmt: skip
_NEAR: Final = 1 << 16
"""How near to the limit a pack ends that was cut off there."""
_KINDS: Final[Mapping[str, str]] = {"120000": "a link", "160000": "a submodule"}


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
            raise DesiredError(error.reason, f"{where}: {error}") from error
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
        given = environment(self._repository, self._folder)
        return Program(path, given, self._folder, Words(_MEANINGS))

    def _discarded(self) -> int:
        """Take away packs that were begun and never ended; return the size of the largest."""
        begun = list(self._folder.glob("objects/pack/tmp_*"))
        largest = max((part.stat().st_size for part in begun), default=0)
        for part in begun:
            part.unlink()
        return largest


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
