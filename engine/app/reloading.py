"""Rule files while dogwatch runs: read again when they change, swapped as a whole."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog

from engine import meters
from engine.app.rule_files import check_texts, good, read_rule_files
from engine.model.errors import DogwatchError, RuleError
from engine.rules.rule import RuleSet
from engine.store.store import Store

LOG = structlog.get_logger()
LOOK_S = 2.0

Texts = Mapping[str, bytes]


class RuleFiles:
    """The rule files at `paths`; `swapped` is awaited with each new good set and its texts."""

    def __init__(
        self,
        paths: Sequence[Path],
        sinks: set[str],
        swapped: Callable[[RuleSet, Texts], Awaitable[None]],
    ) -> None:
        self._paths = paths
        self._sinks = sinks
        self._seen: Texts = {}
        self._faults: list[str] = []
        self._swapped = swapped
        self._lock = asyncio.Lock()

    def first(self, store: Store) -> RuleSet:
        """Return the rules to start with: the files, or the last good set when they are bad.

        Raises:
            RuleError: the files do not check and there is no earlier set.
            DogwatchError: a file cannot be read.
        """
        self._seen = read_rule_files(self._paths)
        try:
            rules = good(check_texts(self._seen, self._sinks))
        except RuleError as error:
            last = store.last_rules()
            if last is None:
                raise
            self._refused([str(fault) for fault in error.faults])
            return good(check_texts(last, self._sinks))
        store.keep_rules(rules.digest, self._seen)
        meters.RELOAD_OK.set(1)
        return rules

    async def run(self) -> None:
        """Look for changed files for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.reload()

    async def reload(self) -> list[str]:
        """Read the files now; return the faults, none when the files are in force.

        Files that do not check, or cannot be read, leave the old set running.
        """
        async with self._lock:
            try:
                texts = await asyncio.to_thread(read_rule_files, self._paths)
            except DogwatchError as error:
                return self._refused([str(error)])
            if texts == self._seen:
                return self._faults
            self._seen = texts
            try:
                rules = good(await asyncio.to_thread(check_texts, texts, self._sinks))
            except RuleError as error:
                return self._refused([str(fault) for fault in error.faults])
            await self._swapped(rules, texts)
            self._faults = []
            meters.RELOAD_OK.set(1)
            LOG.info("rules in force", rules=len(rules.rules), digest=rules.digest[:12])
            return []

    def _refused(self, faults: list[str]) -> list[str]:
        if faults != self._faults:
            LOG.error("rules refused, the old set stays", faults=faults)
        self._faults = faults
        meters.RELOAD_OK.set(0)
        return faults
