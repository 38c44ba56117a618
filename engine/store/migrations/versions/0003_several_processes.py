"""Several processes share the store: leases, placements, epochs of missions, conditions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _tables() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "placements",
        sa.Column("cluster", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
    )
    op.create_table(
        "conditions",
        sa.Column("seq", _SERIAL, primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_conditions_partition", "conditions", ["partition", "seq"])


def upgrade() -> None:
    """Let every mission so far be of epoch 0, every element so far without headers and size."""
    _tables()
    op.create_index("ix_transitions_cause", "transitions", ["cause"])
    op.create_index("ix_missions_finished_at", "missions", ["finished_at"])
    for table, name in (("missions", "epoch"), ("partitions", "appended_us")):
        new = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, new)
    op.add_column(
        "quarantine", sa.Column("headers", sa.JSON(), nullable=False, server_default="{}")
    )
    op.add_column(
        "quarantine", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0")
    )
