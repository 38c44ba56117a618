"""The evaluator's keys in the store, each with a checksum."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from engine.model.errors import StoreError
from engine.model.ids import digest
from engine.store.dialect import upsert
from engine.store.partitions import checksum
from engine.store.schema import evaluator_state

LONGEST: Final = 600
"""Characters of a key that stand in the index; a longer one stands before its value."""
_LONG: Final = "\x02"
_SIZE: Final = 4


def save_state(connection: Connection, partition: int, state: Mapping[str, bytes | None]) -> None:
    """Keep the keys touched; delete those that are None."""
    kept = [_row(partition, key, value) for key, value in state.items() if value is not None]
    upsert(connection, evaluator_state, kept)
    gone = [{"gone": _name(key)} for key, value in state.items() if value is None]
    if gone:
        own = evaluator_state.c.partition == partition
        one = delete(evaluator_state).where(own, evaluator_state.c.key == bindparam("gone"))
        connection.execute(one, gone)


def load_state(connection: Connection, partition: int) -> dict[str, bytes]:
    """Return the keys of `partition`.

    Raises:
        StoreError: what is stored is not what was written.
    """
    table = evaluator_state.c
    query = select(table.key, table.value, table.checksum).where(table.partition == partition)
    state = {}
    for name, value, summed in connection.execute(query).all():
        if checksum(name, value) != summed:
            place = connection.engine.url.database
            raise StoreError(f"{place}: state '{name}' is damaged; restore a backup")
        key, content = _read(name, value)
        state[key] = content
    return state


def _row(partition: int, key: str, value: bytes) -> dict[str, int | str | bytes]:
    name = _name(key)
    if name != key:
        own = key.encode()
        value = len(own).to_bytes(_SIZE, "big") + own + value
    return {
        "partition": partition,
        "key": name,
        "value": value,
        "checksum": checksum(name, value),
    }


def _name(key: str) -> str:
    """Return what stands in the index for `key`: mostly itself."""
    if len(key) <= LONGEST and not key.startswith(_LONG):
        return key
    return _LONG + digest(key)


def _read(name: str, value: bytes) -> tuple[str, bytes]:
    if not name.startswith(_LONG):
        return name, value
    end = _SIZE + int.from_bytes(value[:_SIZE], "big")
    return value[_SIZE:end].decode(), value[end:]
