"""Entry of Alembic: run the revisions on the connection that `oltp_schema.migrate` opened and locked."""

from alembic import context
from sqlalchemy import Connection

connection: Connection | None = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations with `myproperty migrate`: it locks the database, creates the roles")

context.configure(connection=connection, version_table_schema="public", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
