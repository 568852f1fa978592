"""Record the tenants that a run left out of a date."""

from oltp_schema.migrations.run import run_sql

revision = "0013_left_out_tenants"
down_revision = "0012_pipeline_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
