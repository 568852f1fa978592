"""Create tariffs, the allocation of solar and its ledger, and adjustment tasks."""

from oltp_schema.migrations.run import run_sql

revision = "0006_allocation"
down_revision = "0005_solar"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
