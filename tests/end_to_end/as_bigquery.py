# mypy: disable-error-code="import-not-found"
"""Write the SQL that Superset would send to BigQuery for the queries of charts; nothing is sent.

It runs inside Superset's own environment, on a copy of the state of a home:

    python as_bigquery.py ACCOUNT QUERIES.json STATEMENTS.json
"""

import json
import sys
from pathlib import Path

# Without a client of its own, which would ask for credentials.
ADDRESS = "bigquery://local?user_supplied_client=True"


def write_statements(account: str, queries: Path, statements: Path) -> None:
    """Move the datasets to BigQuery and write the statements of all queries, or their errors."""
    from flask import g
    from superset import db, security_manager
    from superset.charts.schemas import ChartDataQueryContextSchema
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database

    db.session.query(Database).one().set_sqlalchemy_uri(ADDRESS)
    for table in db.session.query(SqlaTable):
        table.catalog = "local"
    db.session.commit()
    g.user = security_manager.find_user(account)
    found = []
    for query in json.loads(queries.read_text()):
        context = ChartDataQueryContextSchema().load(json.loads(query) | {"result_type": "query"})
        found += [
            {"query": each["query"], "error": each.get("error")} for each in context.get_payload()["queries"]
        ]
    statements.write_text(json.dumps(found))


if __name__ == "__main__":
    from superset.app import create_app

    app = create_app()
    with app.app_context(), app.test_request_context("/"):
        write_statements(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
