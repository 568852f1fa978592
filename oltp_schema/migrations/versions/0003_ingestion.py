"""Create the ingestion ledger, quarantine, and the pipeline's own records."""

from oltp_schema.migrations.run import run_sql

revision = "0003_ingestion"
down_revision = "0002_properties_and_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
