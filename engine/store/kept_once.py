"""What is taken once: a nonce that was seen, and the texts of policies."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select

from engine.model.ids import digest as digest_of
from engine.model.instant import to_us
from engine.store.audit import Note, append
from engine.store.change_tables import nonces, policies
from engine.store.database import Database, retried
from engine.store.dialect import hold, insert_missing, insert_new, upsert
from engine.store.schema import meta

_POLICY: Final = "policy"
KEPT: Final = timedelta(days=1)
"""How long a nonce is known after it ran out: the clock may be set back."""


class KeptOnce(Database):
    """The part of the store that knows a second time from a first."""

    @retried
    def once(self, nonce: str, until: datetime, now: datetime) -> bool:
        """Return whether `nonce` is seen for the first time; it is known until `until` at least."""
        with self.write() as connection:
            gone = nonces.c.until < to_us(now - KEPT)
            connection.execute(delete(nonces).where(gone))
            row = {"nonce": digest_of(nonce), "until": to_us(until)}
            return bool(insert_new(connection, nonces, [row], "nonce"))

    @retried
    def keep_policy(self, text: str, digest: str) -> None:
        """Keep the policy in force; the audit tells of one that is not the last one."""
        with self.write() as connection:
            hold(connection, _POLICY)
            last = connection.execute(select(meta.c.value).where(meta.c.key == _POLICY)).scalar()
            if last == digest:
                return
            insert_missing(connection, policies, [{"digest": digest, "text": text}])
            upsert(connection, meta, [{"key": _POLICY, "value": digest}])
            note = Note(_POLICY, "file", self.now_us(), digest=digest, reason="another policy")
            append(connection, [note])

    def last_policy(self) -> str | None:
        """Return the text of the policy that was kept last, None before the first."""
        query = select(policies.c.text).join(meta, meta.c.value == policies.c.digest)
        with self.read() as connection:
            return connection.execute(query.where(meta.c.key == _POLICY)).scalar()
