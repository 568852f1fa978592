"""Read the frames that gates check: aggregates from an engine, and two fingerprints side by side.

A gate never fetches readings. The engine counts, and a frame has one row for each meter and date, or for
each tenant and date. The SQL of a table is in its suite.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from string import Template
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
from psycopg.rows import dict_row

from expectations.rules import WarehouseSuite
from myproperty.database.roles import CHECKER_ROLE
from myproperty.dates import Window

if TYPE_CHECKING:
    from data.raw.warehouse import Warehouse

MISSING = "missing"


def read_oltp(dsn: str, sql: str, params: Mapping[str, Any], columns: Sequence[str]) -> pd.DataFrame:
    """Run `sql` as the role of the gates, which sees all tenants, and return its rows.

    The frame has `columns` even without rows. Raises psycopg.Error.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute(f"set role {CHECKER_ROLE}")
        found = connection.execute(sql.encode(), params).fetchall()
    return pd.DataFrame(found, columns=list(columns))


def read_warehouse(
    warehouse: "Warehouse",
    template: str,
    start: date | None = None,
    end: date | None = None,
    *,
    prefix: str = "",
) -> pd.DataFrame:
    """Run the statement `template` over reading dates in [start, end), if it has dates; return its rows.

    Placeholders: `$prefix` is the prefix of the schemas or datasets; `$start` and `$end` are date literals
    that PostgreSQL and BigQuery both read, constants so that partitions are pruned; `$text` is the engine's
    text type. Raises ValueError for an invalid prefix, and what the warehouse raises.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]*", prefix):
        raise ValueError(f"dataset prefix {prefix!r}: use letters, digits and _ only")
    sql = Template(template).substitute(
        prefix=prefix,
        **{name: f"date '{day.isoformat()}'" for name, day in (("start", start), ("end", end)) if day},
        text="text" if warehouse.kind == "postgres" else "string",
    )
    frame: pd.DataFrame = warehouse.query(sql).to_pandas()
    return frame


def read_warehouse_frame(
    suite: WarehouseSuite, warehouse: "Warehouse", dates: Window | None = None, *, prefix: str = ""
) -> pd.DataFrame:
    """Read and prepare the frame of a suite of gate D, over `dates` if the suite has dates.

    Raises ValueError if the suite has dates and `dates` is None, and what `read_warehouse` raises.
    """
    if suite.is_dated and dates is None:
        raise ValueError(
            f"gate {suite.gate} checks {suite.table} by reading date: start the run with a partition range"
        )
    bounds = dates.bounds if suite.is_dated and dates is not None else (None, None)

    def read(template: str) -> pd.DataFrame:
        return read_warehouse(warehouse, template, *bounds, prefix=prefix)

    return prepare_frame(suite, read(suite.sql), read(suite.source_sql) if suite.source_sql else None)


def prepare_frame(
    suite: WarehouseSuite, table: pd.DataFrame, source: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Turn the rows of a suite's statements into the frame that its rules check.

    Engines return numbers as decimals, integers or floats: `floats` (NULL becomes NaN) and `integers` get one
    type. With a `source`, both are put side by side.
    """
    frame = table.copy() if source is None else _add_counts(suite, source, table)
    for column in suite.floats:
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("float64")
    for column in suite.integers:
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("int64")
    return suite.derive(frame) if suite.derive else frame


def _add_counts(suite: WarehouseSuite, source: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Compare source and table, and add the `counts` of the table: 0 where the table lacks the key.

    `rows` is the number of rows of the source, from the measure `row_count`.
    """
    keys, counts = list(suite.id_columns), list(suite.counts)
    both = compare_frames(source, table, keys, suite.measures)
    counted = table[[*keys, *counts]].astype(dict.fromkeys(keys, str))
    both = both.merge(counted, on=keys, how="left")
    both[counts] = both[counts].fillna(0).astype("int64")
    both["rows"] = [0 if count == MISSING else int(count) for count in both["source_row_count"]]
    return both


def canonical_text(value: Any) -> str:
    """Return a value as text that two engines agree on: no trailing zeros or exponent, one word for NULL."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, Decimal):
        text = format(value, "f")
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compare_frames(
    source: pd.DataFrame, target: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """Put two fingerprints side by side, one row for each key that either has.

    The result has the keys and, for each measure, `source_<measure>` and `target_<measure>` as canonical
    text, so that they compare exactly whatever number types the engines returned. `on_both_sides` says
    whether both have the key. With a measure `rows`, `rows` is that number of the source, as an integer.
    """
    sides = []
    for name, frame in (("source", source), ("target", target)):
        side = frame[[*keys, *measures]].copy()
        for column in (*keys, *measures):
            # Typed, because a column without rows has no type that follows from its values.
            side[column] = pd.Series(map(canonical_text, side[column]), index=side.index, dtype=str)
        sides.append(side.rename(columns={measure: f"{name}_{measure}" for measure in measures}))
    both = sides[0].merge(sides[1], on=list(keys), how="outer", indicator=True)
    both["on_both_sides"] = both.pop("_merge") == "both"
    measured = [column for column in both.columns if column.startswith(("source_", "target_"))]
    both[measured] = both[measured].fillna(MISSING)
    if "rows" in measures:
        both["rows"] = [0 if count == MISSING else int(count) for count in both["source_rows"]]
    return both.sort_values(list(keys), ignore_index=True)
