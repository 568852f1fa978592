"""Create tickets, compliance, links to OriginFD, and what agents did and said."""

from oltp_schema.migrations.run import run_sql

revision = "0007_create_service_and_agents"
down_revision = "0006_create_billing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
