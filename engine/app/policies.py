"""The policy in force: read at the start, read again when its file changes, never half."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

from engine import meters
from engine.app.policy_file import policy_of, read_file
from engine.changes.policy import Place, Policy
from engine.model.errors import ConfigError, DogwatchError, StoreError

LOG = structlog.get_logger()
LOOK_S = 1.0


class Kept(Protocol):
    """Where the last good policy outlives a start with a bad one; the store."""

    def keep_policy(self, text: str, digest: str) -> None:
        """Keep the text of a good policy."""
        ...

    def last_policy(self) -> str | None:
        """Return the text that was kept last, None for none."""
        ...


class Policies:
    """Holds the policy that is in force in this process.

    Only a file that is good as a whole comes into force; until then the one before it stays,
    over a restart too. Without a good one there is none, and nothing is changed.

    Args:
        path: the file, empty for none: then there never is a policy, whatever was kept.
        clusters: those that there are, for the names in it; they may come and go.
        kept: where the last good one is kept.
        complete: there are no others than those of the configuration, so names are checked.
    """

    def __init__(
        self, path: str, clusters: Mapping[str, Place], kept: Kept, *, complete: bool = True
    ) -> None:
        self._complete = complete
        self._path = path
        self._clusters = clusters
        self._kept = kept
        self._seen: bytes | None = None
        self._faults: list[str] = []
        self._policy: Policy | None = None
        self._lock = asyncio.Lock()

    @property
    def policy(self) -> Policy | None:
        """Return the policy in force, None where there is none."""
        return self._policy

    def first(self) -> Policy | None:
        """Read the file at the start; where it is bad, the last good one is in force."""
        meters.POLICY_IN_FORCE.set(0)
        if not self._path:
            return None
        self._take(self._look())
        if self._policy is None:
            self._fall_back()
        return self._policy

    async def run(self) -> None:
        """Look for a changed file for ever; what still changes gets one more look."""
        if not self._path:
            return
        before: bytes | DogwatchError | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            found = await asyncio.to_thread(self._look)
            if _same(found, before):
                async with self._lock:
                    await asyncio.to_thread(self._take, found)
            before = found

    async def reload(self) -> list[str]:
        """Read the file now; return the faults, none when it is in force."""
        if not self._path:
            return []
        async with self._lock:
            return await asyncio.to_thread(lambda: self._take(self._look()))

    def _look(self) -> bytes | DogwatchError:
        try:
            return read_file(self._path)
        except ConfigError as error:
            return error

    def _take(self, found: bytes | DogwatchError) -> list[str]:
        """Put what was found in force, if it is new and good; return the faults."""
        if isinstance(found, DogwatchError):
            self._seen = None  # what comes back is looked at anew, even if it is the same
            return self._refuse(found)
        if found == self._seen:
            return self._faults
        try:
            policy = self._load(found)
            self._kept.keep_policy(found.decode(), policy.digest)
        except StoreError as error:
            return self._refuse(error)  # it is tried again: a restart must not find an older one
        except ConfigError as error:
            self._seen = found
            return self._refuse(error)
        self._seen, self._faults = found, []
        self._enforce(policy)
        meters.POLICY_OK.set(1)
        return []

    def _fall_back(self) -> None:
        """Put the last good policy in force, as far as it is still good."""
        try:
            text = self._kept.last_policy()
            faults = ["none was ever good"]
            if text is not None:
                self._enforce(self._load(text.encode()))
        except DogwatchError as error:
            faults = str(error).split("\n")
        if self._policy is None:
            LOG.error("no policy in force: nothing is changed", faults=faults)

    def _load(self, data: bytes) -> Policy:
        return policy_of(self._path, data, self._clusters, complete=self._complete)

    def _enforce(self, policy: Policy) -> None:
        self._policy = policy
        meters.POLICY_IN_FORCE.set(1)
        LOG.info("policy in force", users=len(policy.users), digest=policy.digest[:12])

    def _refuse(self, error: DogwatchError) -> list[str]:
        faults = str(error).split("\n")
        if faults != self._faults:
            meters.POLICY_REFUSED.inc()
            LOG.error("policy refused, the old one stays", faults=faults)
        self._faults = faults
        meters.POLICY_OK.set(0)
        return faults


def _same(found: bytes | DogwatchError, before: bytes | DogwatchError | None) -> bool:
    if isinstance(found, DogwatchError):
        return isinstance(before, DogwatchError)
    return found == before
