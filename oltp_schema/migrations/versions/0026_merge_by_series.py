"""Merge readings without reading all meters of the tenant."""

from oltp_schema.migrations.run import run_sql

revision = "0026_merge_by_series"
down_revision = "0025_step_seconds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
