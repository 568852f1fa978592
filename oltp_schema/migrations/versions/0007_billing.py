"""Create invoices, payments and the double-entry ledger, with their history."""

from oltp_schema.migrations.run import run_sql

revision = "0007_billing"
down_revision = "0006_allocation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
