"""Create tenants, properties, units, meters, the ingestion ledger and readings in daily partitions."""

from oltp_schema.migrations.run import run_sql

revision = "0001_create_company_and_readings"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
