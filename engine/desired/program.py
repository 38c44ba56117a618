"""Programs of others, run on files that may be hostile: scrubbed, bounded, ended for certain.

What a program says is never told: it may hold values of Secrets, and what servers answer. Its
words choose a sentence of our own, and a file by its name.

Limits of the kernel hold for the program and for what it starts: size of a file, memory,
processor time. Time on the wall and the size of the output are held here.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.model.errors import DesiredError

_LIMITED: Final = 'ulimit -f "$1" && ulimit -v "$2" && ulimit -t "$3" && shift 3 && exec "$@"'
_BLOCK: Final = 512
_CHUNK: Final = 1 << 16
_SAID_BYTES: Final = 4096
_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Bounds:
    """What a program may use: seconds, bytes of output, of one file, and of memory."""

    wall_s: float = 60.0
    output: int = 64 << 20
    file: int = 256 << 20
    memory: int = 4 << 30


@dataclass(frozen=True)
class Meaning:
    """What it means that a program which failed said something like `pattern`."""

    pattern: re.Pattern[str]
    reason: str
    sentence: str


@dataclass(frozen=True)
class Words:
    """How to read what a program says; the first meaning that fits is told.

    `files` are those that it was given: if it names one of them, that is told too.
    """

    meanings: Sequence[Meaning] = ()
    files: Sequence[str] = ()


SILENT: Final = Words()


class Program:
    """One program by its path, with an environment of its own: nothing is passed on unnamed."""

    def __init__(
        self, path: str, environment: Mapping[str, str], folder: Path, words: Words = SILENT
    ) -> None:
        self._words = words
        self._path = path
        self._environment = dict(environment)
        self._folder = folder
        self.name = Path(path).name

    async def run(self, arguments: Sequence[str], bounds: Bounds, given: bytes = b"") -> bytes:
        """Return what the program writes to its output when it is `given` that input.

        Raises:
            DesiredError: `timeout`, `too-large`; where it ends with an error the reason that its
                words mean, `malformed` by default. None of them is in the message.
        """
        written = bytearray()
        async with self.output(arguments, bounds, given) as chunks:
            async for chunk in chunks:
                written += chunk
        return bytes(written)

    @contextlib.asynccontextmanager
    async def output(
        self, arguments: Sequence[str], bounds: Bounds, given: bytes = b""
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the output in chunks; the program ends with the block. Raises as `run`."""
        limits = (bounds.file // _BLOCK, bounds.memory >> 10, round(bounds.wall_s) + 1)
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _LIMITED, "sh", *map(str, limits), self._path, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, cwd=self._folder, env=self._environment,
            start_new_session=True,
        )  # fmt: skip
        feeding = asyncio.create_task(_feed(process, given))
        saying = asyncio.create_task(_end_of(process))
        try:
            async with asyncio.timeout(bounds.wall_s):
                yield self._chunks(process, bounds)
                code = await process.wait()
                said = await saying
            if code:
                reason, sentence = _why(self._words, code, said)
                raise DesiredError(reason, f"{self.name} {arguments[0]}: {sentence}")
        except TimeoutError:
            told = f"{self.name} took more than {bounds.wall_s:.0f} s"
            raise DesiredError("timeout", told) from None
        finally:
            await _end(process, feeding, saying)

    async def _chunks(
        self, process: asyncio.subprocess.Process, bounds: Bounds
    ) -> AsyncIterator[bytes]:
        total = 0
        while process.stdout and (chunk := await process.stdout.read(_CHUNK)):
            total += len(chunk)
            if total > bounds.output:
                told = f"{self.name} wrote more than {bounds.output >> 20} MiB"
                raise DesiredError("too-large", told)
            yield chunk


def found(name: str, path: str | None, install: str) -> str:
    """Return where the program `name` is: at `path` where given, else on the path of commands.

    Raises:
        DesiredError: `unavailable`, with what to `install`.
    """
    place = shutil.which(path or name)
    if place is None:
        where = f"there is no program at {path}" if path else f"{name} is not installed"
        raise DesiredError("unavailable", f"{where}; {install}")
    return place


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin is None:
        return
    # A program that ends early, or reads nothing, says by its status what is wrong.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()


async def _end_of(process: asyncio.subprocess.Process) -> str:
    """Read what the program says, to the end, and return the last of it."""
    last = b""
    while process.stderr and (chunk := await process.stderr.read(_CHUNK)):
        last = (last + chunk)[-_SAID_BYTES:]
    return last.decode(errors="replace")


async def _end(
    process: asyncio.subprocess.Process, feeding: asyncio.Task[None], saying: asyncio.Task[str]
) -> None:
    """End the program with all that it began, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    feeding.cancel()
    # What is in the pipes yet: they close only when it was read.
    while process.stdout and await process.stdout.read(_CHUNK):
        pass
    await asyncio.gather(feeding, saying, process.wait(), return_exceptions=True)


def _why(words: Words, code: int, said: str) -> tuple[str, str]:
    """Return the reason and a sentence: of what was said only the name of a file that was given."""
    if code in {-signal.SIGXFSZ, 128 + signal.SIGXFSZ} or "signal 25" in said:
        return "too-large", "a file grew beyond what is allowed"
    meaning = next((one for one in words.meanings if one.pattern.search(said)), None)
    reason = meaning.reason if meaning else "malformed"
    sentence = meaning.sentence if meaning else f"it ended with {code}; run it by hand to see why"
    return reason, sentence + _file(words.files, said)


def _file(files: Sequence[str], said: str) -> str:
    """Return the one file that is named, empty where none is, or more than one."""
    spoken = set(_WORD.findall(said))
    named = [file for file in files if "." in file and file.rpartition("/")[2] in spoken]
    return f" ({named[0]})" if len(named) == 1 else ""
