"""Deliveries may share a message; missions know how deep they are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Let every delivery so far be a message of its own."""
    for name in ("batch", "message", "thread_of", "letter"):
        new = sa.Column(name, sa.Text(), nullable=False, server_default="")
        op.add_column("deliveries", new)
    op.add_column("missions", sa.Column("depth", sa.Integer(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE deliveries SET message = key"))
    op.create_index("ix_deliveries_batch", "deliveries", ["batch", "seq"])
    op.create_index("ix_deliveries_message", "deliveries", ["message"])
