"""Give gates, commands and registration roles of their own."""

from oltp_schema.migrations.run import run_sql

revision = "0018_logins_of_jobs"
down_revision = "0017_archive_whole_dates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
