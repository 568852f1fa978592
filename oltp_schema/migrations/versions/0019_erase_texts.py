"""Erase the texts that people write, and keep them out of the audit trail and of landing."""

from oltp_schema.migrations.run import run_sql

revision = "0019_erase_texts"
down_revision = "0018_logins_of_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
