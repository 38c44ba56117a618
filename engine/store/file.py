"""SQLite as the store's database: one file, one writer at a time."""

import json
import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event

from engine.model.ids import canonical
from engine.sqlite import PRAGMAS, prepare
from engine.store.dialect import begin

MARK: Final = 0x44575354  # DWST


def engine_of(file: Path) -> Engine:
    """Return an engine for `file`, which is created or checked.

    Raises:
        StoreError: it is damaged, of another kind, or can not be opened.
    """
    prepare(file, MARK)
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        json_serializer=lambda value: canonical(value).decode(),
        json_deserializer=json.loads,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(pragma)

    event.listen(engine, "begin", begin)
    return engine
