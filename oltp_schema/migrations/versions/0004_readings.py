"""Create readings in daily partitions, and how they are loaded, merged, archived and validated."""

from oltp_schema.migrations.run import run_sql

revision = "0004_readings"
down_revision = "0003_ingestion"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
