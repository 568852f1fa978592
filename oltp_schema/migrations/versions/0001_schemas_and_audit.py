"""Create the schemas, what every table shares, and the audit trail."""

from oltp_schema.migrations.run import run_sql

revision = "0001_schemas_and_audit"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
