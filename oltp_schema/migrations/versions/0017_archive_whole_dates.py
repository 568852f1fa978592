"""Refuse to archive a date that was published without a tenant."""

from oltp_schema.migrations.run import run_sql

revision = "0017_archive_whole_dates"
down_revision = "0016_audit_actor"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
