"""The evaluator's state as bytes: one entry a key, a cluster, and a chunk of what was recent.

Keys are JSON lists, so that they can be read: ["cell", rule, cluster, [key ...]],
["cluster", name], ["rule", rule, cluster], ["recent", cluster, kind, chunk, part].
Values are MessagePack with a version.
"""

from typing import Any, Final, TypeVar

import msgspec

from engine.model.errors import StoreError
from engine.stream.cell import Cell
from engine.stream.hold import Held
from engine.stream.orders import Order
from engine.stream.reader import Reader
from engine.stream.trail import Entry, Trail

VERSION: Final = 3
"""Of the form of every value; 2 knew no limits and no accounts."""
_REMEDY: Final = (
    "another version of dogwatch wrote it, or it is damaged; move dogwatch.db and signals.db away "
    "together to start anew, or restore both from a copy that this version wrote"
)
State = TypeVar("State")


class CellState(msgspec.Struct, array_like=True):
    """A cell as it is stored; what `condition` is depends on the rule (its hash)."""

    hash: str
    base: Held
    held: Held
    head: int
    trail: list[Entry]
    opened: Entry | None
    orders: list[Order]
    met: list[int]
    launched_at: int | None
    spared_until: int | None
    storm: bool
    condition: Any


def dump(value: Any) -> bytes:
    """Return `value` with the version before it."""
    return bytes([VERSION]) + msgspec.msgpack.encode(value)


def load(kind: type[State], raw: bytes) -> State:
    """Return what `dump` wrote.

    Raises:
        StoreError: it was written by another version, or is damaged; says what can be done.
    """
    if not raw or raw[0] != VERSION:
        found = raw[0] if raw else "nothing"
        raise StoreError(
            f"evaluator state of version {found}; this engine reads {VERSION}: {_REMEDY}"
        )
    try:
        return msgspec.msgpack.decode(raw[1:], type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise _unread(kind, error) from error


def _unread(kind: type[Any], error: Exception) -> StoreError:
    return StoreError(f"evaluator state of kind {kind.__name__} does not read: {error}: {_REMEDY}")


def lacking(cluster: str) -> StoreError:
    """Return what to raise where the entry of `cluster` is gone, and others of it are there."""
    return StoreError(f"evaluator state has no entry of cluster {cluster!r}: {_REMEDY}")


def name_of(*parts: Any) -> str:
    """Return the key of a state entry."""
    return msgspec.json.encode(parts).decode()


def parts_of(name: str) -> list[Any]:
    """Return the parts of a key of a state entry. Raises StoreError for a foreign one."""
    try:
        parts = msgspec.json.decode(name)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or not parts:
        raise StoreError(f"evaluator state has a foreign key {name[:80]!r}: {_REMEDY}")
    return parts


def dump_cell(cell: Cell) -> bytes:
    """Return the state of `cell`."""
    return dump(
        CellState(
            hash=cell.rule.hash,
            base=cell.trail.base,
            held=cell.held,
            head=cell.head,
            trail=cell.trail.entries,
            opened=cell.opened,
            orders=cell.orders,
            met=cell.met,
            launched_at=cell.launched_at,
            spared_until=cell.spared_until,
            storm=cell.storm,
            condition=cell.condition.dump(),
        )
    )


def load_cell(
    state: CellState, reader: Reader, cluster: str, key: tuple[str, ...], mark: int
) -> Cell:
    """Return the cell whose state is `state`, at the stream time `mark`.

    Raises:
        StoreError: the state of its condition is damaged.
    """
    cell = restore_cell(state, reader, cluster, key)
    form = cell.condition.form
    try:
        cell.condition.load(msgspec.convert(state.condition, form))
    except (msgspec.ValidationError, ValueError) as error:
        raise _unread(form, error) from error
    cell.condition.rebind(reader.rule, mark)
    cell.held, cell.head = state.held, state.head
    cell.trail = Trail(state.base, state.trail)
    return cell


def restore_cell(state: CellState, reader: Reader, cluster: str, key: tuple[str, ...]) -> Cell:
    """Return a cell with what outlives a change of its rule: what was told, its missions."""
    cell = Cell(reader, cluster, key, storm=state.storm)
    cell.opened = state.opened
    cell.orders, cell.met, cell.launched_at = state.orders, state.met, state.launched_at
    cell.spared_until = state.spared_until
    return cell
