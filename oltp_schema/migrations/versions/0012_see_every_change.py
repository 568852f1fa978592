"""Let no change pass the audit trail by: truncates, writes to partitions, readings mended by hand."""

from oltp_schema.migrations.run import run_sql

revision = "0012_see_every_change"
down_revision = "0011_keep_vee"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
