"""Compare readings that arrive with those that are there by one join."""

from oltp_schema.migrations.run import run_sql

revision = "0020_compare_many_at_once"
down_revision = "0019_answer_from_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
