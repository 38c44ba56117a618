"""What watchers remember over restarts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Let every watcher remember nothing so far."""
    op.create_table(
        "memories",
        sa.Column("cluster", sa.Text(), primary_key=True),
        sa.Column("watcher", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
