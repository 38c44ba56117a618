"""The last rule set that was good, kept whole: a restart with bad files goes on with it."""

from collections.abc import Mapping

from sqlalchemy import delete, select

from engine.store.database import Database, retried
from engine.store.dialect import hold, insert_missing, upsert
from engine.store.schema import meta, rule_files

_LAST_GOOD = "rules"


class RuleSets(Database):
    """The part of the store that holds rule files."""

    @retried
    def keep_rules(self, digest: str, texts: Mapping[str, bytes]) -> None:
        """Keep `texts` (path -> content) as the last good rule set, named by `digest`."""
        rows = [{"digest": digest, "path": path, "text": text} for path, text in texts.items()]
        with self.write() as connection:
            hold(connection, _LAST_GOOD)
            connection.execute(delete(rule_files))
            insert_missing(connection, rule_files, rows)
            upsert(connection, meta, [{"key": _LAST_GOOD, "value": digest}])

    def last_rules(self) -> dict[str, bytes] | None:
        """Return path -> content of the last good rule set, None where none was."""
        with self.read() as connection:
            digest = connection.execute(
                select(meta.c.value).where(meta.c.key == _LAST_GOOD)
            ).scalar()
            if digest is None:
                return None
            query = select(rule_files.c.path, rule_files.c.text).where(
                rule_files.c.digest == digest
            )
            return dict(connection.execute(query.order_by(rule_files.c.path)).all())
