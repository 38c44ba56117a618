"""Missions act: changes, decisions, what was written, the audit; missions wait at gates."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _instants(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger()) for name in names]


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("seq", _SERIAL, primary_key=True),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("phase", sa.Integer(), nullable=False),
        *_texts("mission", "rule", "firing", "cluster", "object", "template", "draft"),
        sa.Column("body", sa.Text()),
        *_texts("digest", "state", "reason", "actor", "mode", "approval", "requester", "results"),
        sa.Column("sinks", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *_instants("changed_at", "expires_at", "next_at", "due_at", "verify_from"),
        *_instants("begun_at", "failed_at", "undone_at"),
    )
    op.create_index("ix_changes_due_at", "changes", ["due_at"])
    op.create_index("ix_changes_state", "changes", ["state", "seq"])
    op.create_index("ix_changes_mission", "changes", ["mission", "seq"])
    op.create_index("ix_changes_begun", "changes", ["cluster", "begun_at"])
    op.create_index("ix_changes_object", "changes", ["object", "template"])
    op.create_index("ix_changes_undone", "changes", ["undone_at"])


def _decisions_and_writes() -> None:
    op.create_table(
        "decisions",
        sa.Column("seq", _SERIAL, primary_key=True),
        *_texts("change", "stage", "digest", "who", "verdict", "via", "typed", "comment"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("change", "who", "stage", name="uq_decisions_person"),
    )
    op.create_table(
        "writes",
        sa.Column("seq", _SERIAL, primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("change", "step", "version", "before", "outcome"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.Text()),
        *_instants("ended_at"),
        sa.UniqueConstraint("change", "step", "number", name="uq_writes_operation"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        *_texts("mission", "change", "frm", "to", "actor", "digest", "reason", "prev", "hash"),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_audit_mission", "audit", ["mission"])
    op.create_index("ix_audit_change", "audit", ["change"])


def _brakes() -> None:
    op.create_table(
        "locks",
        sa.Column("name", sa.Text(), primary_key=True),
        *_texts("change"),
    )
    op.create_index("ix_locks_change", "locks", ["change"])
    op.create_table(
        "freezes",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("who", sa.Text(), primary_key=True),
        *_texts("reason"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        *_instants("until"),
    )
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.Text(), primary_key=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_nonces_until", "nonces", ["until"])
    op.create_table(
        "policies",
        sa.Column("digest", sa.Text(), primary_key=True),
        *_texts("text"),
    )


def _missions() -> None:
    for name in ("phase", "total_phases"):
        new = sa.Column(name, sa.Integer(), nullable=False, server_default="1")
        op.add_column("missions", new)
    op.add_column("missions", sa.Column("wake_at", sa.BigInteger()))
    texts = {"mode": "report", "approval": "person", "advise": "off"}
    for name in ("mode", "approval", "requester", "advise", "parent", "sameness"):
        default = texts.get(name, "")
        new_text = sa.Column(name, sa.Text(), nullable=False, server_default=default)
        op.add_column("missions", new_text)
    op.add_column("missions", sa.Column("targets", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index("ix_missions_wake_at", "missions", ["wake_at"])
    op.create_index("ix_missions_parent", "missions", ["parent"])
    op.create_index("ix_missions_sameness", "missions", ["sameness", "created_at"])


def upgrade() -> None:
    """Let every mission so far be one that only reports, in its first and only phase."""
    _changes()
    _decisions_and_writes()
    _audit()
    _brakes()
    _missions()
