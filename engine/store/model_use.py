"""What the model cost: tokens by day, counted over all processes."""

from sqlalchemy import select, update

from engine.store.database import Database, retried
from engine.store.dialect import hold, insert_missing
from engine.store.schema import meta

_KEY = "model-tokens/"


class ModelUse(Database):
    """The part of the store that counts what the model costs."""

    def model_tokens(self, day: str) -> int:
        """Return the tokens spent on `day` (2026-12-01)."""
        with self.read() as connection:
            query = select(meta.c.value).where(meta.c.key == _KEY + day)
            return int(connection.execute(query).scalar() or 0)

    @retried
    def add_model_tokens(self, day: str, tokens: int) -> None:
        """Add to what was spent on `day`; other days are forgotten."""
        key = _KEY + day
        with self.write() as connection:
            hold(connection, key)
            insert_missing(connection, meta, [{"key": key, "value": "0"}])
            spent = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one()
            total = update(meta).where(meta.c.key == key).values(value=str(int(spent) + tokens))
            connection.execute(total)
            others = meta.c.key.startswith(_KEY, autoescape=True) & (meta.c.key < key)
            connection.execute(meta.delete().where(others))
