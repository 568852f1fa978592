"""Count whether the marts show a tenant's date."""

from oltp_schema.migrations.run import run_sql

revision = "0015_quality_publication"
down_revision = "0014_quality"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
