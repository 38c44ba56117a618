"""Endpoints: named TLS servers, asked every so often in the background for their certificates."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from engine.model.errors import StoreError
from engine.model.ports import Memory
from watchers import x509
from watchers.handshake import Server, Shown, shake
from watchers.pem import Blocks

AT_ONCE: Final = 20
_BROKEN: Final = "error"


@dataclass(frozen=True)
class Endpoint:
    """One server as it is configured: the name of its signals, and whom a client of it trusts.

    `ca_file` empty: the authorities of this machine. `verify` false: it is not judged.
    """

    name: str
    server: Server
    ca_file: str = ""
    verify: bool = True


@dataclass(frozen=True)
class Rhythm:
    """Seconds between two rounds, and for one handshake."""

    every_s: float
    limit_s: float


class Endpoints:
    """What each endpoint showed last; that survives restarts, as long as nothing newer is seen.

    `data` has the data of the signal by name; an endpoint that does not answer keeps what it
    showed before, and an `error`. `asked` is set once each was asked.
    """

    def __init__(self, named: Sequence[Endpoint], rhythm: Rhythm, memory: Memory) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self._named = named
        self._rhythm = rhythm
        self._memory = memory
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.asked = asyncio.Event()

    async def follow(self) -> None:
        """Ask all of them, for ever."""
        try:
            kept = await self._memory.recall()
        except StoreError:
            kept = {}
        names = {one.name for one in self._named}
        self.data = {name: msgspec.json.decode(kept[name]) for name in names & set(kept)}
        gone = dict.fromkeys(set(kept) - names)
        while True:
            trusts = await asyncio.to_thread(_trusts, self._named)
            before = dict(self.data)
            await asyncio.gather(*(self._ask(one, trusts) for one in self._named))
            self.asked.set()
            news = {
                name: msgspec.json.encode(data)
                for name, data in self.data.items()
                if data != before.get(name) and _BROKEN not in data
            }
            await self._keep({**gone, **news})
            gone = {}
            await asyncio.sleep(self._rhythm.every_s)

    async def _keep(self, changes: Mapping[str, bytes | None]) -> None:
        try:
            await self._memory.keep(changes)
        except StoreError:
            return  # it is asked again anyway; only a restart while it is away would lose it

    async def _ask(self, one: Endpoint, trusts: Mapping[str, ssl.SSLContext | str]) -> None:
        trust = trusts[one.ca_file] if one.verify else None
        trusted = trust if isinstance(trust, ssl.SSLContext) else None
        async with self._turn:
            seen = await shake(replace(one.server, trust=trusted), self._rhythm.limit_s)
        if seen.chain:
            told = await asyncio.to_thread(_told, seen)
            if trusted and not seen.judged:  # cut off meanwhile: what was said of it holds on
                told = {**_verdict(self.data.get(one.name, {}), told), **told}
        else:
            told = {**self.data.get(one.name, {}), _BROKEN: seen.error}
        if isinstance(trust, str):
            told = {**told, _BROKEN: trust}
        self.data[one.name] = told


def _told(seen: Shown) -> dict[str, Any]:
    told = x509.chain(x509.read(Blocks(seen.chain)))
    if not seen.judged:
        return told
    refusal = {"refusal": seen.refusal} if seen.refusal else {}
    return {**told, "verified": not seen.refusal, **refusal}


def _verdict(before: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    same = before.get("fingerprint") == told.get("fingerprint")
    return {name: before[name] for name in ("verified", "refusal") if same and name in before}


def _trusts(named: Sequence[Endpoint]) -> dict[str, ssl.SSLContext | str]:
    """Return by file the context of a client that trusts it, or why there is none."""
    found: dict[str, ssl.SSLContext | str] = {}
    for file in {one.ca_file for one in named if one.verify}:
        try:
            found[file] = ssl.create_default_context(cafile=file or None)
        except OSError as error:  # ssl.SSLError too
            found[file] = f"config: ca_file can not be read: {error.strerror or 'no PEM'}"
    return found
