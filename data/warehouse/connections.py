"""Connections of dbt to PostgreSQL that stay open from one node to the next.

dbt opens a connection for each model and each test. On the embedded engine that takes longer than most tests.
"""

from dbt.adapters.postgres.connections import PostgresConnectionManager
from dbt.adapters.postgres.impl import PostgresAdapter


class KeptConnections(PostgresConnectionManager):
    """One connection for each thread of dbt, until dbt ends."""

    def release(self) -> None:
        """Undo what the node has not committed, and keep the connection for the next one.

        What dbt does outside of its transactions, such as to drop the view that was replaced, is committed.
        """
        connection = self.get_if_exists()
        if connection is None or connection.state != "open" or connection.handle.closed:
            super().release()
        elif connection.transaction_open:
            self._rollback(connection)
        else:
            connection.handle.commit()

    def add_commit_query(self) -> None:
        """Commit by the driver, which begins a transaction only after an end that it knows of.

        dbt sends the statement, which is enough for a connection that one node uses.
        """
        self.get_thread_connection().handle.commit()


def keep_connections() -> None:
    """Let dbt's adapter keep its connections in this process."""
    PostgresAdapter.ConnectionManager = KeptConnections
