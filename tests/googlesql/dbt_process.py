"""Run dbt with BigQuery's client replaced; in a process of its own, since dbt keeps state between tests.

`python -m <package>.dbt_process STATE`: STATE is a pickle of `Session`, read and written back.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

from dbt.adapters.bigquery import connections
from dbt.cli.main import dbtRunner

from data.warehouse.preparsed import read_manifest

from .in_memory import InMemoryBigQuery
from .session import Invocation, Session


def _failures(outcome: Any) -> list[str]:
    found = [str(outcome.exception)] if outcome.exception else []
    for result in getattr(outcome.result, "results", None) or []:
        if str(result.status) in ("error", "fail", "runtime error"):
            found.append(f"{result.node.unique_id}: {result.message}")
    return found


def run(session: Session) -> Session:
    """Parse the project, then run the commands one after the other on the tables of one client.

    All commands share the client and Google's engine, which answer a repeated statement from memory.
    """
    client = InMemoryBigQuery(session.project)
    setattr(connections, "create_bigquery_client", lambda _: client)  # noqa: B010 (not exported by dbt)
    parsed = dbtRunner().invoke(session.parse)
    if not parsed.success:
        session.invocations.append(Invocation(session.parse, False, _failures(parsed), [], []))
        return session
    for planned in session.runs:
        client.statements = []
        client.store(planned.raw)
        # dbt writes into the manifest that it runs on, so each command gets its own.
        outcome = dbtRunner(read_manifest(Path(session.target))).invoke(planned.words)
        session.invocations.append(
            Invocation(planned.words, outcome.success, _failures(outcome), client.statements, client.copies())
        )
    return session


def main(state: Path) -> None:
    """Read the session, run, write it back."""
    session = pickle.loads(state.read_bytes())
    state.write_bytes(pickle.dumps(run(session)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
