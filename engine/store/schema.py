"""The tables, those of changes apart (engine.store.change_tables).

Instants are microseconds since 1970; the migrations build exactly these tables.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from engine.store.words import Name, Words

REVISION = "0005"
"""The newest migration; a test holds it equal to the one Alembic finds."""

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")

partitions = Table(
    "partitions",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("rules", Words, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    Column("appended_us", BigInteger, nullable=False, server_default="0"),
)

evaluator_state = Table(
    "evaluator_state",
    metadata,
    Column("partition", Integer, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

signals = Table(
    "signals",
    metadata,
    Column("id", Name, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("kept_at", BigInteger, nullable=False, index=True),
)

firings = Table(
    "firings",
    metadata,
    Column("id", Words, primary_key=True),
    Column("rule", Words, nullable=False),
    Column("key", JSON, nullable=False),
    Column("state", Words, nullable=False, index=True),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("changed_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("value", JSON, nullable=False),
    Column("reason", Words, nullable=False),
    Column("cause", Name, nullable=False, index=True),
    Column("members", JSON, nullable=False),
    Column("member_count", Integer, nullable=False),
    Column("node", Words, nullable=False),
    Column("labels", JSON, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("firing", Words, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("value", JSON, nullable=False),
    Column("cause", Name, nullable=False, index=True),
    UniqueConstraint("firing", "at", "state", name="uq_transitions_move"),
)

missions = Table(
    "missions",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("kind", Words, nullable=False),
    Column("params", JSON, nullable=False),
    Column("rule", Words, nullable=False),
    Column("firing", Words, nullable=False, index=True),
    Column("key", JSON, nullable=False),
    Column("clusters", JSON, nullable=False),
    Column("state", Words, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("owner", Words, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("report", Words),
    Column("phase", Integer, nullable=False, server_default="1"),
    Column("total_phases", Integer, nullable=False, server_default="1"),
    Column("wake_at", BigInteger),
    Column("mode", Words, nullable=False, server_default="report"),
    Column("approval", Words, nullable=False, server_default="person"),
    Column("targets", JSON, nullable=False, server_default="{}"),
    Column("requester", Words, nullable=False, server_default=""),
    Column("advise", Words, nullable=False, server_default="off"),
    Column("parent", Words, nullable=False, server_default=""),
    Column("sameness", Words, nullable=False, server_default=""),
    Index("ix_missions_state", "state", "seq"),
    Index("ix_missions_wake_at", "wake_at"),
    Index("ix_missions_parent", "parent"),
    Index("ix_missions_sameness", "sameness", "created_at"),
    Index("ix_missions_finished_at", "finished_at"),
)

journal = Table(
    "journal",
    metadata,
    Column("mission", Words, primary_key=True),
    Column("step", Words, primary_key=True),
    Column("result", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("key", Words, nullable=False, unique=True),
    Column("sink", Words, nullable=False),
    Column("change", Words, nullable=False),
    Column("incident", Words, nullable=False),
    Column("mission", Words, nullable=False, index=True),
    Column("body", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("error", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("thread", JSON, nullable=False),
    Column("dropped_at", BigInteger),
    Column("batch", Words, nullable=False, server_default=""),
    Column("message", Words, nullable=False, server_default=""),
    Column("thread_of", Words, nullable=False, server_default=""),
    Column("letter", Words, nullable=False, server_default=""),
    Index("ix_deliveries_batch", "batch", "seq"),
    Index("ix_deliveries_message", "message"),
    Index("ix_deliveries_due", "state", "sink", "next_at"),
    Index("ix_deliveries_order", "incident", "sink", "seq"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("headers", JSON, nullable=False, server_default="{}"),
    Column("size", BigInteger, nullable=False, server_default="0"),
)

quarantine_counts = Table(
    "quarantine_counts",
    metadata,
    Column("reason", Words, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

rule_files = Table(
    "rule_files",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("path", Words, primary_key=True),
    Column("text", LargeBinary, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Words, primary_key=True),
    Column("value", Words, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Name, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("cluster", Name, primary_key=True),
    Column("partition", Integer, nullable=False),
)

conditions = Table(
    "conditions",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("id", Name, nullable=False, unique=True),
    Column("record", LargeBinary, nullable=False),
    Index("ix_conditions_partition", "partition", "seq"),
)

memories = Table(
    "memories",
    metadata,
    Column("cluster", Name, primary_key=True),
    Column("watcher", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
