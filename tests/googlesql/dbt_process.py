"""Run dbt with BigQuery's client replaced; in a process of its own, since dbt keeps state between tests.

`python -m <package>.dbt_process STATE ARGUMENT...`: STATE is a pickle of `Session`, read and written
back; each ARGUMENT is one dbt invocation, a JSON list of words.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

from dbt.adapters.bigquery import connections
from dbt.cli.main import dbtRunner

from .in_memory import InMemoryBigQuery
from .session import Invocation, Session


def _failures(outcome: Any) -> list[str]:
    found = [str(outcome.exception)] if outcome.exception else []
    for result in getattr(outcome.result, "results", None) or []:
        if str(result.status) in ("error", "fail", "runtime error"):
            found.append(f"{result.node.unique_id}: {result.message}")
    return found


def run(session: Session, commands: list[list[str]]) -> Session:
    """Run the commands one after the other on the session's tables."""
    client = InMemoryBigQuery(session.project, session.tables)
    setattr(connections, "create_bigquery_client", lambda _: client)  # noqa: B010 (not exported by dbt)
    for words in commands:
        client.statements = []
        outcome = dbtRunner().invoke(words)
        session.invocations.append(Invocation(words, outcome.success, _failures(outcome), client.statements))
    session.tables = list(client.tables.values())
    return session


def main(state: Path, commands: list[list[str]]) -> None:
    """Read the session, run, write it back."""
    session = pickle.loads(state.read_bytes())
    state.write_bytes(pickle.dumps(run(session, commands)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [json.loads(word) for word in sys.argv[2:]])
