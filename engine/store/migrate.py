"""Bring the schema of a store to this version, once, whoever else opens it."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from engine.model.errors import StoreError
from engine.store.schema import REVISION, metadata

FOLDER = Path(__file__).with_name("migrations")


def migrate(connection: Connection, path: Path) -> None:
    """Run the migrations that are missing, within the transaction of `connection`.

    Raises:
        StoreError: the store was made by a newer version, or lacks something it had.
    """
    if revision(connection) != REVISION:
        _upgrade(connection, path)
    _complete(connection, path)


def revision(connection: Connection) -> str | None:
    """Return the newest migration that ran, None for a store without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found[0] if found else ""


def _upgrade(connection: Connection, path: Path) -> None:
    # Alembic takes a fifth of a second to import: only who migrates pays.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    at = revision(connection)
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if at is not None and at not in known:
        raise StoreError(
            f"{path}: its schema is '{at}', known up to '{REVISION}'; it was made by a newer "
            "dogwatch (or is damaged): upgrade dogwatch, or restore a backup"
        )
    command.upgrade(config, "head")


def _complete(connection: Connection, path: Path) -> None:
    """Refuse a store whose tables or columns are not those of its own revision."""
    found = inspect(connection)
    tables = set(found.get_table_names())
    for table in metadata.sorted_tables:
        missing = {column.name for column in table.columns}
        if table.name in tables:
            missing -= {column["name"] for column in found.get_columns(table.name)}
        if missing:
            names = ", ".join(sorted(missing))
            raise StoreError(f"{path}: damaged, table {table.name} lacks {names}; restore a backup")
