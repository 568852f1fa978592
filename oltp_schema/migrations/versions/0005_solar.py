"""Create solar assets, reference yields and appraisals."""

from oltp_schema.migrations.run import run_sql

revision = "0005_solar"
down_revision = "0004_readings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
