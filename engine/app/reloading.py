"""Rule files while dogwatch runs: read again when they change, swapped as a whole."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog

from engine import meters
from engine.app.rule_files import check_texts, good, read_rule_files
from engine.model.errors import DogwatchError, Fenced, RuleError
from engine.rules.rule import RuleSet
from engine.store.store import Store

LOG = structlog.get_logger()
LOOK_S = 1.0

Texts = Mapping[str, bytes]


class RuleFiles:
    """The rule files at `paths`; `swapped` is awaited with each new good set and its texts.

    Only a set that is good as a whole comes into force; until then the one before it stays.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sinks: set[str],
        swapped: Callable[[RuleSet, Texts], Awaitable[None]],
    ) -> None:
        self._paths = paths
        self._sinks = sinks
        self._seen: Texts | None = None
        self._faults: list[str] = []
        self._swapped = swapped
        self._lock = asyncio.Lock()

    def first(self, store: Store) -> RuleSet:
        """Return the rules to start with: the files, or the last good set when they are bad.

        Raises:
            RuleError: the files do not check and there is no earlier set.
            DogwatchError: a file cannot be read and there is no earlier set.
        """
        try:
            self._seen = read_rule_files(self._paths)
            rules = good(check_texts(self._seen, self._sinks))
        except DogwatchError as error:
            last = check_texts(store.last_rules() or {}, self._sinks)
            if not last.rules.rules or any(fault.severity == "error" for fault in last.faults):
                raise error  # noqa: TRY201 - not a fault of the earlier set
            self._refused(error)
            return last.rules
        store.keep_rules(rules.digest, self._seen)
        meters.RELOAD_OK.set(1)
        return rules

    async def run(self) -> None:
        """Look for changed files for ever; what still changes gets one more look."""
        before: Texts | DogwatchError | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            found = await self._look()
            if _same(found, before):
                async with self._lock:
                    await self._take(found)
            before = found

    async def reload(self) -> list[str]:
        """Read the files now; return the faults, none when the files are in force.

        Files that do not check, or cannot be read, leave the old set running.
        """
        async with self._lock:
            return await self._take(await self._look())

    async def _look(self) -> Texts | DogwatchError:
        try:
            return await asyncio.to_thread(read_rule_files, self._paths)
        except DogwatchError as error:
            return error

    async def _take(self, found: Texts | DogwatchError) -> list[str]:
        """Put what was found in force, if it is new and good; return the faults."""
        if isinstance(found, DogwatchError):
            self._seen = None  # what comes back is looked at anew, even if it is the same
            return self._refused(found)
        if found == self._seen:
            return self._faults
        try:
            rules = good(await asyncio.to_thread(check_texts, found, self._sinks))
            await self._swapped(rules, found)
        except Fenced:
            raise
        except DogwatchError as error:
            # Rules that are bad stay so; a store that refused them may take them later.
            self._seen = found if isinstance(error, RuleError) else None
            return self._refused(error)
        self._seen, self._faults = found, []
        meters.RELOAD_OK.set(1)
        LOG.info("rules in force", rules=len(rules.rules), digest=rules.digest[:12])
        return []

    def _refused(self, error: DogwatchError) -> list[str]:
        faults = str(error).split("\n")
        if faults != self._faults:
            LOG.error("rules refused, the old set stays", faults=faults)
        self._faults = faults
        meters.RELOAD_OK.set(0)
        return faults


def _same(found: Texts | DogwatchError, before: Texts | DogwatchError | None) -> bool:
    if isinstance(found, DogwatchError):
        return isinstance(before, DogwatchError)
    return found == before
