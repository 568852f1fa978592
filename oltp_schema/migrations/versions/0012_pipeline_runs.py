"""Record the runs of the pipeline, and since when a date is withdrawn."""

from oltp_schema.migrations.run import run_sql

revision = "0012_pipeline_runs"
down_revision = "0011_hold_severe_issues"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
