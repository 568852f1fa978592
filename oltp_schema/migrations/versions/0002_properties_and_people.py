"""Create tenants, properties, units, meters, users, tenancies and the keys of sealed fields."""

from oltp_schema.migrations.run import run_sql

revision = "0002_properties_and_people"
down_revision = "0001_schemas_and_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only."""
    run_sql(revision)
