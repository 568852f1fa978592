"""Create the landing tables on the way to the warehouse."""

from oltp_schema.migrations.run import run_sql

revision = "0009_landing"
down_revision = "0008_service"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
