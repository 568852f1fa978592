"""Run the SQL file of a revision, unchanged, on the connection of the migration."""

from pathlib import Path

from alembic import op

SQL = Path(__file__).resolve().parent / "sql"


def run_sql(revision: str) -> None:
    """Execute `sql/<revision>.sql`. Without parameters, a file may hold % and several statements."""
    text = (SQL / f"{revision}.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(text, execution_options={"no_parameters": True})
