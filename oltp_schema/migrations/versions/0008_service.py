"""Create service tickets, compliance, projects of OriginFD, and agents."""

from oltp_schema.migrations.run import run_sql

revision = "0008_service"
down_revision = "0007_billing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
