"""Programs of others, run on files that may be hostile: scrubbed, bounded, ended for certain.

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
_SAID_CHARACTERS: Final = 300
_CREDENTIALS = re.compile(r"(?i)((?:basic|bearer|token)\s+)[\w+/=.~-]{8,}|(?<=//)[^/@\s]+@")


@dataclass(frozen=True)
class Bounds:
    """What a program may use: seconds, bytes of output, of one file, and of memory."""

    wall_s: float = 60.0
    output: int = 64 << 20
    file: int = 256 << 20
    memory: int = 4 << 30


class Program:
    """One program by its path, with an environment of its own: nothing is passed on unnamed."""

    def __init__(self, path: str, environment: Mapping[str, str], folder: Path) -> None:
        self._path = path
        self._environment = dict(environment)
        self._folder = folder
        self.name = Path(path).name

    async def run(self, arguments: Sequence[str], bounds: Bounds, given: bytes = b"") -> bytes:
        """Return what the program writes to its output when it is `given` that input.

        Raises:
            DesiredError: `timeout`, `too-large`; `malformed` where it ends with an error, with
                the end of what it said.
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
                raise DesiredError(*_why(self.name, arguments[0], code, said))
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


def plain(text: str) -> str:
    """Return what a program said on one line, short, without credentials."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _CREDENTIALS.sub(r"\1...", one_line)[-_SAID_CHARACTERS:]


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


def _why(name: str, verb: str, code: int, said: str) -> tuple[str, str]:
    if code in {-signal.SIGXFSZ, 128 + signal.SIGXFSZ} or "signal 25" in said:
        return "too-large", f"{name} {verb}: a file grew beyond what is allowed"
    return "malformed", f"{name} {verb}: {plain(said) or f'ended with {code}'}"
