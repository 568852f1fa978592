"""Make partitions of readings ahead, archive them by retention, and bring them back."""

from oltp_schema.migrations.run import run_sql

revision = "0008_keep_partitions"
down_revision = "0007_create_service_and_agents"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
