"""Make sure that a message of an agent is of a tenant that is there."""

from oltp_schema.migrations.run import run_sql

revision = "0014_messages_have_a_tenant"
down_revision = "0013_land_every_entity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
