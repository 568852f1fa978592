"""Create rate plans, emission-factor regions and the allocation ledger."""

from oltp_schema.migrations.run import run_sql

revision = "0005_create_allocation"
down_revision = "0004_create_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
