"""Keep what each rule of a gate observed."""

from oltp_schema.migrations.run import run_sql

revision = "0010_gate_history"
down_revision = "0009_landing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
