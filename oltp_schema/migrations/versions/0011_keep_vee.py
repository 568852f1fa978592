"""Keep what the validation of whole days needs and finds: thresholds, register reads, issues."""

from oltp_schema.migrations.run import run_sql

revision = "0011_keep_vee"
down_revision = "0010_keep_adjustment_tasks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
