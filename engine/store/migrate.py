"""Bring the schema of a store to this version, once, whoever else opens it."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from engine import failpoint
from engine.failpoint import Point
from engine.model.errors import StoreError
from engine.store.dialect import hold, served
from engine.store.schema import REVISION, metadata

FOLDER = Path(__file__).with_name("migrations")


def migrate(connection: Connection, place: str) -> None:
    """Run the migrations that are missing, within the transaction of `connection`.

    Raises:
        StoreError: the store was made by a newer version, or lacks something it had.
    """
    if revision(connection) != REVISION:
        if served(connection):
            # Another process may be at it, or the tables large: that takes the time it takes.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        hold(connection, "migrate")
        _upgrade(connection, place)
    _complete(connection, place)


def revision(connection: Connection) -> str | None:
    """Return the newest migration that ran, None for a store without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found[0] if found else ""


def _upgrade(connection: Connection, place: str) -> None:
    # Alembic takes a fifth of a second to import: only who migrates pays.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    at = revision(connection)
    newest_first = ScriptDirectory.from_config(config).walk_revisions()
    known = [script.revision for script in newest_first][::-1]
    if at is not None and at not in known:
        raise StoreError(
            f"{place}: its schema is '{at}', known up to '{REVISION}'; it was made by a newer "
            "dogwatch (or is damaged): upgrade dogwatch, or restore a backup"
        )
    for step in known[known.index(at) + 1 if at else 0 :]:
        with failpoint.around(Point.MIGRATION_STEP):
            command.upgrade(config, step)


def _complete(connection: Connection, place: str) -> None:
    """Refuse a store whose tables or columns are not those of its own revision."""
    found = inspect(connection).get_multi_columns()
    held = {name: {one["name"] for one in columns} for (_, name), columns in found.items()}
    for table in metadata.sorted_tables:
        missing = {column.name for column in table.columns} - held.get(table.name, set())
        if missing:
            names = ", ".join(sorted(missing))
            raise StoreError(
                f"{place}: damaged, table {table.name} lacks {names}; restore a backup"
            )
