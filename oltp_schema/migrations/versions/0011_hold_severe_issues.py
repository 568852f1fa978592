"""Add severe issues that hold back a meter and day, and land the issues."""

from oltp_schema.migrations.run import run_sql

revision = "0011_hold_severe_issues"
down_revision = "0010_gate_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
