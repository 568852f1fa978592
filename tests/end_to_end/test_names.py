"""A table for a person has names behind its ids; what a program reads has the columns that were asked for."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from commands.main import app
from data.ingest.errors import QueryRefused
from data.raw import names
from data.raw.names import NAMED_BY, name_ids
from data.raw.warehouse import open_warehouse
from tests.end_to_end.support import Platform

pytestmark = pytest.mark.engine

QUESTION = (
    "select property_id, tenant_id, reading_date from marts.mart_solar_performance order by 1, 3 limit 3"
)
# No id: it gets into no statement, and no name.
HOSTILE = "select 'x'') or (1 = 1' as property_id, '4B0CD623-73F7-5AB2-B46F-98B64A5764AC' as tenant_id"


def ask(platform: Platform, statement: str) -> tuple[pa.Table, pa.Table]:
    """Return an answer without and with names."""
    warehouse = open_warehouse(platform.settings)
    try:
        answer = warehouse.ask(statement, 100)
        return answer, name_ids(warehouse, answer)
    finally:
        warehouse.close()


@pytest.mark.parametrize("column", NAMED_BY)
def test_each_id_gets_the_current_name_of_its_dimension(platform: Platform, column: str) -> None:
    dimension, name = NAMED_BY[column]
    known = f"select {column}, {name} as known from core.{dimension} where is_current and {name} <> 'unknown'"
    _, named = ask(platform, f"{known} order by 1")
    assert named.column_names == [column, name, "known"] and named.num_rows > 0
    assert named[name].to_pylist() == named["known"].to_pylist()


def test_rows_and_other_columns_stay_as_they_were(platform: Platform) -> None:
    answer, named = ask(platform, QUESTION)
    assert named.column_names == ["property_id", "property_name", "tenant_id", "tenant_name", "reading_date"]
    assert named.select(answer.column_names).equals(answer)
    for statement in (
        HOSTILE,
        "select 7 as unit_id",
        "select null as meter_id",
        QUESTION.replace("limit 3", "limit 0"),
    ):
        answer, named = ask(platform, statement)
        assert named.equals(answer), statement
    answer, named = ask(platform, "select tenant_id, 'mine' as tenant_name from core.dim_tenant")
    assert named.equals(answer), "the question has the name itself"


def test_without_dimensions_or_with_too_many_ids_the_answer_is_shown_as_it_is(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = open_warehouse(platform.settings)
    try:
        answer = warehouse.ask(QUESTION, 10)
        assert name_ids(warehouse, answer, prefix="nowhere_").equals(answer)
        with pytest.raises(QueryRefused):
            warehouse.ask(names.write_sql({"tenant_id": ["a"]}, "nowhere_"), 1)
        monkeypatch.setattr(names, "MOST_IDS", 1)
        assert name_ids(warehouse, answer).equals(answer)
    finally:
        warehouse.close()


def test_only_a_table_has_the_names(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("commands.warehouse.get_settings", lambda: platform.settings)

    def query(*words: str) -> str:
        done = CliRunner().invoke(app, ["query", QUESTION, *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert "(demo)" in query() and "property_name" in query()
    file = tmp_path / "rows"
    query("--format", "parquet", "--output", str(file))
    asked = ["property_id", "tenant_id", "reading_date"]
    assert list(json.loads(query("--format", "json"))[0]) == pq.read_table(file).column_names == asked
    assert next(csv.reader(query("--format", "csv").splitlines())) == asked
