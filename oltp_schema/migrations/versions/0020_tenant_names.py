"""Take from the application the right to rename tenants."""

from oltp_schema.migrations.run import run_sql

revision = "0020_tenant_names"
down_revision = "0019_erase_texts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
