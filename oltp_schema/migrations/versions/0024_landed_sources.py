"""Keep what the source of a landing table held when it was copied."""

from oltp_schema.migrations.run import run_sql

revision = "0024_landed_sources"
down_revision = "0023_feed_in"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
