"""From the configuration of a cluster to a reader of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.app.config import ClusterConfig
from engine.cluster.contexts import Context
from engine.cluster.reader import Reader
from engine.model.ports import SystemClock


@asynccontextmanager
async def reach(config: ClusterConfig, *, act_as: str = "") -> AsyncIterator[Reader]:
    """Give a reader of the cluster, as the user `act_as` where one is named.

    Nothing is sent before its first read.
    """
    context = Context(
        kubeconfig=config.kubeconfig,
        context=config.context,
        in_cluster=config.in_cluster,
        exec_commands=frozenset(config.exec_commands),
        act_as=act_as,
    )
    reader = Reader(config.name, context, SystemClock())
    try:
        yield reader
    finally:
        await reader.aclose()
