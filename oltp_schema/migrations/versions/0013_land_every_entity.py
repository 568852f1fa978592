"""Give every entity of the warehouse its landing table."""

from oltp_schema.migrations.run import run_sql

revision = "0013_land_every_entity"
down_revision = "0012_see_every_change"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
