"""A lost warehouse is built again from the operational database by the commands of docs/backups.md."""

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from commands import pipeline
from commands.databases import prepare_databases
from commands.main import app
from dagster_project.runner import build_quality
from tests.end_to_end.support import Platform

# It shows runs, of which the rebuild is one more.
RUNS = "pipeline_runs_v1"


def read_views(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Return the rows of each public view as text, in order."""
    names = connection.execute("select viewname from pg_views where schemaname = 'bi'").fetchall()
    rows = "select to_jsonb(v)::text from bi.{} as v order by 1"
    return {
        name: [row[0] for row in connection.execute(sql.SQL(rows).format(sql.Identifier(name)))]
        for (name,) in names
        if name != RUNS
    }


def test_every_view_shows_the_same_rows_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "get_settings", lambda: platform.settings)
    dates = sorted(day for report in platform.reports for day in report.dates)
    with psycopg.connect(str(platform.settings.warehouse_dsn), autocommit=True) as connection:
        before = read_views(connection)
        for schema in ("bi", "marts", "core", "staging", "snapshots", "raw"):
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        prepare_databases(platform.settings)
        done = CliRunner().invoke(app, ["run", "--from", str(dates[0]), "--to", str(dates[-1])])
        assert done.exit_code == 0, done.output
        if any(view.startswith("data_quality") for view in before):
            build_quality(platform.settings)  # another test had its job build these
        after = read_views(connection)
    assert set(after) == set(before)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    assert len(before) > 10 and sum(map(len, before.values())) > 300
