"""Merge readings into dates that have rows: in the database, with references proved for all rows at once."""

from oltp_schema.migrations.run import run_sql

revision = "0016_merge_readings"
down_revision = "0015_keep_words_out_of_trail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
