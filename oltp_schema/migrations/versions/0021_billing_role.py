"""Give billing a role of its own."""

from oltp_schema.migrations.run import run_sql

revision = "0021_billing_role"
down_revision = "0020_tenant_names"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
