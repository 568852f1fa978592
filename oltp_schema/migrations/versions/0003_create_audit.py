"""Create the audit trail, and what every table is given when it is made."""

from oltp_schema.migrations.run import run_sql

revision = "0003_create_audit"
down_revision = "0002_create_staging_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
