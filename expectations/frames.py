"""Small frames for the gates: aggregates read from an engine, and two fingerprints side by side.

A gate never pulls readings: the engine counts, and what comes here has one row a meter and day, or a
tenant and day. Which aggregate a table needs is said in its suite's module.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from string import Template
from typing import Any, Protocol

import pandas as pd
import psycopg
import pyarrow as pa
from psycopg.rows import dict_row

MISSING = "missing"
ETL_ROLE = "myproperty_etl"


class Warehouse(Protocol):
    """What a gate needs of a warehouse."""

    @property
    def kind(self) -> str:
        """`postgres`, `bigquery` or `emulator`."""

    def query(self, sql: str) -> pa.Table:
        """Run one statement and return all of its rows."""


def oltp_frame(dsn: str, sql: str, params: Mapping[str, Any], columns: Sequence[str]) -> pd.DataFrame:
    """Run `sql` as the ETL role, which sees all tenants, and return its rows with `columns`.

    `columns` keeps the frame's shape when there is no row. Raises `psycopg.Error`.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(sql.encode(), params).fetchall()
    return pd.DataFrame(found, columns=list(columns))


def warehouse_frame(
    warehouse: Warehouse,
    template: str,
    *,
    start: date | None = None,
    end: date | None = None,
    prefix: str = "",
) -> pd.DataFrame:
    """Run the statement `template` for reading dates in [start, end), if it has dates, and return its rows.

    `$prefix`, `$start` and `$end` are filled in: the prefix of the datasets, and two date literals that
    PostgreSQL and BigQuery read alike. They are constants on purpose, so that partitions are pruned. `$text`
    becomes the engine's word for text. Raises what the warehouse raises.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]*", prefix):
        raise ValueError(f"dataset prefix {prefix!r} has characters outside letters, digits and _")
    sql = Template(template).substitute(
        prefix=prefix,
        **{name: f"date '{day.isoformat()}'" for name, day in (("start", start), ("end", end)) if day},
        text="text" if warehouse.kind == "postgres" else "string",
    )
    frame: pd.DataFrame = warehouse.query(sql).to_pandas()
    return frame


def canonical(value: Any) -> str:
    """The text of a measure that two engines agree on: no trailing zeros, no exponent, one word for NULL."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, Decimal):
        text = format(value, "f")
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compare(
    source: pd.DataFrame, target: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """Put two fingerprints side by side, one row a key of either.

    The result has the keys and, for each measure, `source_<measure>` and `target_<measure>` as canonical
    text: exact, whatever number types the two engines returned. `on_both_sides` says whether the key is.
    With a measure `rows`, `rows` is the number of the source's, as an integer.
    """
    sides = []
    for name, frame in (("source", source), ("target", target)):
        side = frame[[*keys, *measures]].copy()
        for column in (*keys, *measures):
            side[column] = [canonical(value) for value in side[column]]
        sides.append(side.rename(columns={measure: f"{name}_{measure}" for measure in measures}))
    both = sides[0].merge(sides[1], on=list(keys), how="outer", indicator=True)
    both["on_both_sides"] = both.pop("_merge") == "both"
    measured = [column for column in both.columns if column.startswith(("source_", "target_"))]
    both[measured] = both[measured].fillna(MISSING)
    if "rows" in measures:
        both["rows"] = [0 if count == MISSING else int(count) for count in both["source_rows"]]
    return both.sort_values(list(keys), ignore_index=True)
