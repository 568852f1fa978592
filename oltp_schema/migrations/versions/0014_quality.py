"""Count the quality of dates and runs for the warehouse."""

from oltp_schema.migrations.run import run_sql

revision = "0014_quality"
down_revision = "0013_left_out_tenants"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
