"""Say once what is the same for all readings of a job."""

from oltp_schema.migrations.run import run_sql

revision = "0021_say_once_what_is_the_same"
down_revision = "0020_compare_many_at_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
