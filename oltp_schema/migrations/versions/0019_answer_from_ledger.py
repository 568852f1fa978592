"""Let the ledger answer for a file that is known, and analyse a new partition by fewer rows."""

from oltp_schema.migrations.run import run_sql

revision = "0019_answer_from_ledger"
down_revision = "0018_keep_solar_reference"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
