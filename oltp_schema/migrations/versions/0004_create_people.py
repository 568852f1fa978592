"""Create users, their keys and preferences, tenancies and solar assets."""

from oltp_schema.migrations.run import run_sql

revision = "0004_create_people"
down_revision = "0003_create_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
