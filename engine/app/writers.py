"""Identities that change clusters: one to try, and one for each mission kind."""

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from engine.app.config import ClusterConfig, WriterConfig
from engine.app.reaching import context_of
from engine.cluster.writer import ClusterWriter
from engine.model.errors import ClusterError


class Writers:
    """Makes the writers of clusters as they are asked for; an async context manager."""

    def __init__(self, clusters: Sequence[ClusterConfig]) -> None:
        self._clusters = {one.name: one for one in clusters}
        self._salt = secrets.token_bytes(32)
        self._made: dict[tuple[str, str], ClusterWriter] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def clusters(self) -> list[str]:
        """Return the names of the clusters that may be changed."""
        return [name for name, one in self._clusters.items() if one.writer is not None]

    def proposer(self, cluster: str) -> ClusterWriter:
        """Return who may only try changes in `cluster`. Raises ClusterError."""
        return self._as(cluster, self._config(cluster).propose_as)

    def writer(self, cluster: str, kind: str) -> ClusterWriter:
        """Return who may change in `cluster` what missions of `kind` need. Raises ClusterError."""
        return self._as(cluster, self._config(cluster).impersonate.replace("{kind}", kind))

    def _config(self, cluster: str) -> WriterConfig:
        known = self._clusters.get(cluster)
        if known is None or known.writer is None:
            why = "no cluster of this name" if known is None else "the cluster has no `writer`"
            raise ClusterError("config", f"{cluster}: {why} in the configuration")
        return known.writer

    def _as(self, cluster: str, who: str) -> ClusterWriter:
        key = (cluster, who)
        if key not in self._made:
            context = context_of(self._config(cluster))
            made = ClusterWriter(cluster, context, act_as=who, salt=self._salt)
            self._open.push_async_callback(made.aclose)
            self._made[key] = made
        return self._made[key]
