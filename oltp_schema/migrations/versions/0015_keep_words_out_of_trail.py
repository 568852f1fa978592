"""Keep what people write in tickets out of the audit trail, where it could never be erased."""

from oltp_schema.migrations.run import run_sql

revision = "0015_keep_words_out_of_trail"
down_revision = "0014_messages_have_a_tenant"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
