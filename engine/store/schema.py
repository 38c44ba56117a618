"""The tables. Instants are microseconds since 1970; the migrations build exactly these."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0002"
"""The newest migration; a test holds it equal to the one Alembic finds."""

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

partitions = Table(
    "partitions",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("rules", Text, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

evaluator_state = Table(
    "evaluator_state",
    metadata,
    Column("partition", Integer, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

signals = Table(
    "signals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("kept_at", BigInteger, nullable=False, index=True),
)

firings = Table(
    "firings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("key", JSON, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("changed_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("value", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text, nullable=False, index=True),
    Column("members", JSON, nullable=False),
    Column("member_count", Integer, nullable=False),
    Column("node", Text, nullable=False),
    Column("labels", JSON, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("firing", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("value", JSON, nullable=False),
    Column("cause", Text, nullable=False),
    UniqueConstraint("firing", "at", "state", name="uq_transitions_move"),
)

missions = Table(
    "missions",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("rule", Text, nullable=False),
    Column("firing", Text, nullable=False, index=True),
    Column("key", JSON, nullable=False),
    Column("clusters", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("owner", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("report", Text),
    Index("ix_missions_state", "state", "seq"),
)

journal = Table(
    "journal",
    metadata,
    Column("mission", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("result", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("sink", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("mission", Text, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("thread", JSON, nullable=False),
    Column("dropped_at", BigInteger),
    Column("batch", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("thread_of", Text, nullable=False, server_default=""),
    Column("letter", Text, nullable=False, server_default=""),
    Index("ix_deliveries_batch", "batch", "seq"),
    Index("ix_deliveries_message", "message"),
    Index("ix_deliveries_due", "state", "sink", "next_at"),
    Index("ix_deliveries_order", "incident", "sink", "seq"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)

quarantine_counts = Table(
    "quarantine_counts",
    metadata,
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

rule_files = Table(
    "rule_files",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("text", LargeBinary, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
