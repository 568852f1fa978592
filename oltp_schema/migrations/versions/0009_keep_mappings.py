"""Keep the mapping that a file was read with."""

from oltp_schema.migrations.run import run_sql

revision = "0009_keep_mappings"
down_revision = "0008_keep_partitions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
