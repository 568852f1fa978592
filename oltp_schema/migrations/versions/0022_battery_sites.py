"""Let validation see which properties have a battery."""

from oltp_schema.migrations.run import run_sql

revision = "0022_battery_sites"
down_revision = "0021_billing_role"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
