"""The platform that all tests of this folder share, and queries on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg

from dagster_project.runner import RunReport
from data.demo import DemoScope
from data.ingest.validation.run import Validation
from data.raw import warehouse as warehouses
from myproperty import engines
from myproperty.settings import Settings
from tests import marts_by_pandas as by_pandas
from tests.analyst_questions import questions
from tests.end_to_end.marked import Marked
from tests.wide_usage import WIDE_USAGE

DAYS = 6
# A member of the group of readers without a row in the seed, as one whose row was taken out.
STRANGER = "demo_stranger"
RELATIONS = """
    select n.nspname, c.relname,
        exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'tenant_id')
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^(pg_|information_schema|public)' order by 1, 2
"""
FACT = f"""
select tenant_id, meter_id, channel, reading_date, sum(value_kwh) as energy_kwh, count(*) as readings
from {WIDE_USAGE} as u where reading_date >= date '2000-01-01' and quality_method is distinct from '17'
group by 1, 2, 3, 4
"""
MART = """
select tenant_id, property_id, reading_date, generation_kwh, exported_kwh, imported_kwh, self_consumed_kwh,
    completeness_pct, specific_yield_kwh_per_kw, irradiation_kwh_per_m2, performance_ratio,
    capacity_factor, time_availability, estimated_share_pct
from marts.mart_solar_performance where reading_date >= date '2000-01-01' order by 1, 2, 3
"""


@dataclass(frozen=True)
class Platform:
    """A platform on which the demo has run once."""

    settings: Settings
    plan: DemoScope
    validated: list[Validation]
    reports: list[RunReport]
    marked: Marked

    def query(self, sql: str) -> pd.DataFrame:
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            frame: pd.DataFrame = warehouse.query(sql).to_pandas()
        finally:
            warehouse.close()
        return frame

    def answer(self, number: int) -> list[dict[str, Any]]:
        """The rows that answer a question of docs/analyst-questions.md."""
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            found: list[dict[str, Any]] = warehouse.query(questions()[number]).to_pylist()
        finally:
            warehouse.close()
        assert found, f"question {number} has no answer"
        return found

    def figures(self, mart: str, columns: tuple[str, str], where: str = "true") -> by_pandas.Figures:
        """The rows of a mart as {key: figures}; `columns` names the columns of both."""
        names = [part.split(", ") for part in columns]
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            table = warehouse.query(f"select {', '.join(columns)} from marts.{mart} where {where}")
        finally:
            warehouse.close()
        keys, values = ([tuple(row[name] for name in part) for row in table.to_pylist()] for part in names)
        assert len(keys) == len(set(keys)), f"{mart} has a key twice"
        return dict(zip(keys, values, strict=True))

    def oltp(self, statement: str, *parameters: object) -> None:
        with psycopg.connect(engines.dsn(self.settings)) as connection:
            connection.execute(statement.encode(), parameters)


def archived_files(platform: Platform) -> list[Path]:
    """The ingested files, in the order in which they arrived."""
    files = [path for path in Path(platform.settings.archive).rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: path.name)


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a DataFrame, with their columns as attributes."""
    return iter(frame.itertuples())
