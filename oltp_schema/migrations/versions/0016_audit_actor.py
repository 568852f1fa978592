"""Let the audit trail name only users of the tenant whose row changed."""

from oltp_schema.migrations.run import run_sql

revision = "0016_audit_actor"
down_revision = "0015_quality_publication"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
