"""Add feed-in bands and assignments, and assumptions of appraisals about export, tax and replacement."""

from oltp_schema.migrations.run import run_sql

revision = "0023_feed_in"
down_revision = "0022_battery_sites"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
