"""Keep what solar is measured against: its yield under a clear sky, and what its owner counted on."""

from oltp_schema.migrations.run import run_sql

revision = "0018_keep_solar_reference"
down_revision = "0017_keep_reads_of_files"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
