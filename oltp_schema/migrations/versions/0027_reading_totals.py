"""Keep the totals of each series and date."""

from oltp_schema.migrations.run import run_sql

revision = "0027_reading_totals"
down_revision = "0026_merge_by_series"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
