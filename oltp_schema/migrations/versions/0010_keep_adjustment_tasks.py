"""Keep a task for a billing period whose readings changed after it was allocated."""

from oltp_schema.migrations.run import run_sql

revision = "0010_keep_adjustment_tasks"
down_revision = "0009_keep_mappings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
