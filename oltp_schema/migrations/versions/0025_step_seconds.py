"""Add the seconds of each step to the records of runs."""

from oltp_schema.migrations.run import run_sql

revision = "0025_step_seconds"
down_revision = "0024_landed_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
