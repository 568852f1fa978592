"""Keep the register reads that come in files: their quality, and which file brought them."""

from oltp_schema.migrations.run import run_sql

revision = "0017_keep_reads_of_files"
down_revision = "0016_merge_readings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
