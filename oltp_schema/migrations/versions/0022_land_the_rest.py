"""Land accounts, adjustments, rules of compliance and projects."""

from oltp_schema.migrations.run import run_sql

revision = "0022_land_the_rest"
down_revision = "0021_say_once_what_is_the_same"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
