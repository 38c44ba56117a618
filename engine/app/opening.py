"""Open the store and the bus that the configuration names."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

from engine.app.config import POSTGRESQL, AppConfig
from engine.app.configured import load_config
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import ConfigError, StoreError
from engine.model.ports import Clock, SystemClock
from engine.store.store import Store

if TYPE_CHECKING:
    from engine.bus.kafka import KafkaBus

Bus: TypeAlias = "EmbeddedBus | KafkaBus"
STORE_FILE = "dogwatch.db"
BUS_FILE = "signals.db"


def exclusive(settings: AppConfig) -> bool:
    """Whether one process alone may run over this: the store or the bus is a file of its own."""
    return not (settings.store.shared and settings.bus.kafka)


def own_files(settings: AppConfig) -> bool:
    """Return whether the store is a file: whoever writes to it runs on this machine."""
    return not settings.store.shared


def open_store(settings: AppConfig, clock: Clock) -> Store:
    """Open, create or migrate the store. Raises ConfigError, StoreError."""
    config = settings.store
    if not config.shared:
        return Store.open(Path(settings.data_dir) / STORE_FILE, clock=clock)
    url = config.url.get_secret_value() if config.url else _line(config.url_file)
    if not url.startswith(POSTGRESQL):
        raise ConfigError(
            f"store.url_file: {config.url_file} holds no {POSTGRESQL}USER@HOST:PORT/DATABASE"
        )
    password = _line(config.password_file) if config.password_file else None
    return Store.open(url, clock=clock, password=password)


@contextmanager
def stored(config: str) -> Iterator[tuple[Store, AppConfig]]:
    """Give the store of the configuration; other processes may be running on it.

    Raises:
        StoreError: nothing was ever stored there.
    """
    settings = load_config(config)
    path = Path(settings.data_dir) / STORE_FILE
    if not settings.store.shared and not path.exists():
        raise StoreError(f"{path}: nothing stored yet; start `dogwatch run` first")
    store = open_store(settings, SystemClock())
    try:
        yield store, settings
    finally:
        store.close()


@asynccontextmanager
async def open_bus(settings: AppConfig, store: Store, clock: Clock) -> AsyncIterator[Bus]:
    """Give the bus; the topics of one on Kafka are not looked at before its first use."""
    if settings.bus.kafka is None:
        bus: Bus = EmbeddedBus(Path(settings.data_dir) / BUS_FILE, clock=clock)
        try:
            yield bus
        finally:
            await bus.aclose()
        return

    from engine.bus.kafka import KafkaBus  # noqa: PLC0415 - its client takes 0.15 s to import

    async def placed(cluster: str, partitions: int) -> int:
        return await asyncio.to_thread(store.place, cluster, crc32(cluster.encode()) % partitions)

    async with KafkaBus(settings.bus.kafka, placed) as bus:
        yield bus


def _line(path: str | None) -> str:
    """Return the first line of a file with a secret. Raises ConfigError."""
    try:
        line = Path(path or "").read_text().partition("\n")[0].strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: holds no text") from error
    if not line:
        raise ConfigError(f"{path}: its first line is empty")
    return line
