"""The tables of changes: what is proposed, who decided, what was written, and the audit of it."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, UniqueConstraint

from engine.store.schema import Serial, metadata
from engine.store.words import Name, Words

changes = Table(
    "changes",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("mission", Words, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("rule", Words, nullable=False),
    Column("firing", Words, nullable=False),
    Column("cluster", Name, nullable=False),
    Column("object", Name, nullable=False),
    Column("template", Words, nullable=False),
    Column("draft", Words, nullable=False),
    Column("body", Words),
    Column("digest", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("mode", Words, nullable=False),
    Column("approval", Words, nullable=False),
    Column("sinks", JSON, nullable=False),
    Column("requester", Words, nullable=False),
    Column("results", Words, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("next_at", BigInteger),
    Column("due_at", BigInteger),
    Column("verify_from", BigInteger),
    Column("begun_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("undone_at", BigInteger),
    Index("ix_changes_due_at", "due_at"),
    Index("ix_changes_state", "state", "seq"),
    Index("ix_changes_mission", "mission", "seq"),
    Index("ix_changes_begun", "cluster", "begun_at"),
    Index("ix_changes_object", "object", "template"),
    Index("ix_changes_undone", "undone_at"),
)
"""`due_at` is when the writer looks at it, null where it need not: see engine.store.change_rows."""

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("change", Words, nullable=False),
    Column("stage", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("who", Words, nullable=False),
    Column("verdict", Words, nullable=False),
    Column("via", Words, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("typed", Words, nullable=False),
    Column("comment", Words, nullable=False),
    UniqueConstraint("change", "who", "stage", name="uq_decisions_person"),
)

writes = Table(
    "writes",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("change", Words, nullable=False),
    Column("step", Words, nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Words, nullable=False),
    Column("before", Words, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("after", Words),
    Column("ended_at", BigInteger),
    UniqueConstraint("change", "step", "number", name="uq_writes_operation"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("mission", Words, nullable=False, index=True),
    Column("change", Words, nullable=False, index=True),
    Column("frm", Words, nullable=False),
    Column("to", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("digest", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("prev", Words, nullable=False),
    Column("hash", Words, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("name", Name, primary_key=True),
    Column("change", Words, nullable=False, index=True),
)

freezes = Table(
    "freezes",
    metadata,
    Column("scope", Name, primary_key=True),
    Column("who", Name, primary_key=True),
    Column("reason", Words, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
)
"""A scope is frozen as long as one of its rows is in force: nobody shortens another one's."""

nonces = Table(
    "nonces",
    metadata,
    Column("nonce", Words, primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
)

policies = Table(
    "policies",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("text", Words, nullable=False),
)
