"""From the configuration of a cluster to a reader of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from engine.app.config import ClusterConfig, ReachConfig
from engine.cluster.contexts import Context
from engine.cluster.login import Login
from engine.cluster.reader import Reader
from engine.metrics.prometheus import prometheus
from engine.model.ports import Metrics, SystemClock


def context_of(
    config: ReachConfig, act_as: str = "", login: Callable[[], Login] | None = None
) -> Context:
    """Return how the cluster of `config` is reached, as the user `act_as` where one is named.

    `login` gives credentials that lie in no file.
    """
    return Context(
        kubeconfig=config.kubeconfig,
        context=config.context,
        in_cluster=config.in_cluster,
        exec_commands=frozenset(config.exec_commands),
        act_as=act_as,
        login=login,
    )


@asynccontextmanager
async def reach(
    config: ClusterConfig, *, act_as: str = "", login: Callable[[], Login] | None = None
) -> AsyncIterator[Reader]:
    """Give a reader of the cluster, as the user `act_as` where one is named.

    Nothing is sent before its first read. `login` gives credentials that lie in no file.
    """
    reader = Reader(config.name, context_of(config, act_as, login), SystemClock())
    try:
        yield reader
    finally:
        await reader.aclose()


@asynccontextmanager
async def metrics_of(config: ClusterConfig) -> AsyncIterator[Metrics | None]:
    """Give the Prometheus of a cluster, None where the configuration names none.

    Nothing is sent before the first query.
    """
    if config.prometheus is None:
        yield None
        return
    async with prometheus(config.prometheus) as metrics:
        yield metrics
