"""Create the quarantine, the landing tables and what the pipeline writes about itself."""

from oltp_schema.migrations.run import run_sql

revision = "0002_create_staging_tables"
down_revision = "0001_create_company_and_readings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
