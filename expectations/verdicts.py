"""Verdicts: the outcome of a gate, stored in `warehouse_staging.gate_results`, and its message.

`expectations.gate` makes verdicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from myproperty.database.roles import CHECKER_ROLE, ETL_ROLE

# The run id of a verdict that was made outside of a run.
BY_HAND = "by hand"
# So many verdicts of each gate and table keep what every rule observed.
DETAILED_VERDICTS = 100
_EMPTY_OLD_RESULTS = """
    update warehouse_staging.gate_results set results = '[]'
    where gate = %s and table_name = %s and results <> '[]' and checked_at < (
        select checked_at from warehouse_staging.gate_results
        where gate = %s and table_name = %s order by checked_at desc offset %s limit 1
    )
"""
_FAILING = """
select v.* from warehouse_staging.gate_results as v
where not v.passed and exists (
    select from generate_series(v.reading_date_from, v.reading_date_to - 1, interval '1 day') as d (day)
    where not exists (
        select from warehouse_staging.gate_results as n
        where n.gate = v.gate and n.table_name = v.table_name and n.checked_at > v.checked_at
          and n.left_out <@ v.left_out
          and n.reading_date_from <= d.day::date and n.reading_date_to > d.day::date
    )
    union all
    select from (select 1) as whole
    where v.reading_date_from is null and not exists (
        select from warehouse_staging.gate_results as n
        where n.gate = v.gate and n.table_name = v.table_name and n.checked_at > v.checked_at
    )
)
order by v.gate, v.table_name, v.checked_at desc
"""
_NAMES = {
    "tenant_id": "select id::text, name from myproperty.tenants where id::text = any(%s)",
    "property_id": "select id::text, name from myproperty.properties where id::text = any(%s)",
    "meter_id": "select id::text, serial_number from myproperty.meters where id::text = any(%s)",
}
# What is done and what is not when a gate has failed; the graph of `dagster_project` makes it true. Gate D
# checks tables without dates before facts are built, and all others before marts are built.
_HELD_BACK = {
    "A": "No table was landed or loaded in this run. The warehouse is unchanged.",
    "B": "Tables were landed, none was loaded. The warehouse is unchanged.",
    "C": "Raw tables were loaded, no model was built from them. Core tables and marts are unchanged.",
}
_HELD_BACK_BY_D = {
    False: "Seeds, dimensions and facts without dates were rebuilt. Facts of dates and marts are unchanged.",
    True: "Facts and candidates of these dates were rebuilt. The marts are unchanged.",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome of one gate on one table and the reading dates in [date_from, date_to).

    `failed` has one object for each broken rule: rule, severity, expectation, column, what, remedy, observed,
    unexpected_count, sample, and tenant_dates: all pairs of a tenant and a date (None: all dates) that break
    it, none if it names no tenants. `passed` is False if one of them has the severity `block`. `results` has
    one object for each rule: rule, passed, observed, element_count, unexpected_count. `rows` is the number of
    rows that the frame stands for, `seconds` how long reading and checking it took. `left_out` are the ids of
    tenants whose rows were not checked.
    """

    gate: str
    table: str
    passed: bool
    failed: list[dict[str, Any]]
    expectations: int
    rows: int
    date_from: date | None = None
    date_to: date | None = None
    run_id: str | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    left_out: tuple[str, ...] = ()
    checked_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_json(self) -> dict[str, Any]:
        """Return the verdict with dates and instants as ISO text."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }

    @property
    def held_back(self) -> str:
        """Return what a run has done and not done when this gate stops it."""
        return _HELD_BACK.get(self.gate) or _HELD_BACK_BY_D[self.date_from is not None]

    @property
    def headline(self) -> str:
        """Return one line: gate, table, dates, and the ids of the broken rules."""
        where = f"Gate {self.gate} on {self.table}{_describe_dates(self.date_from, self.date_to)}"
        if not self.failed:
            return self._passed(where)
        rules = ", ".join(broken["rule"] for broken in self.failed)
        return f"{where} {'passed with warnings' if self.passed else 'FAILED'}: {rules}."

    @property
    def message(self) -> str:
        """Return the text for the person on call, with ids in its samples."""
        return self.describe({})

    def describe(self, names: Mapping[str, str]) -> str:
        """Return the text for the person on call: gate, table, dates, each broken rule and its remedy.

        `names` has the names of tenants, properties and meters by id.
        """
        where = f"Gate {self.gate} on {self.table}{_describe_dates(self.date_from, self.date_to)}"
        if not self.failed:
            return self._passed(where)
        blocking = sum(broken["severity"] == "block" for broken in self.failed)
        head = f"{where} {'passed with warnings' if self.passed else 'FAILED'}: "
        head += f"{blocking} blocking of {self.expectations} expectations broken, {self._describe_rows()}."
        lines = [head] if self.passed else [head, self.held_back]
        for broken in self.failed:
            lines.append(f"  {broken['rule']} ({broken['severity']}): expected that {broken['what']}.")
            lines.append(f"    observed: {broken['observed']}")
            lines += [f"    e.g. {_to_line(example, names)}" for example in broken["sample"][:3]]
            lines.append(f"    next: {broken['remedy']}")
        return "\n".join(lines)

    def _passed(self, where: str) -> str:
        return f"{where} passed: {self.expectations} expectations over {self._describe_rows()}."

    def _describe_rows(self) -> str:
        left_out = f", tenants left out: {len(self.left_out)}" if self.left_out else ""
        return f"{self.rows} rows{left_out}"


def _describe_dates(first: date | None, end: date | None) -> str:
    return f", reading dates {first.isoformat()} to before {end.isoformat()}" if first and end else ""


def _to_line(example: dict[str, Any], names: Mapping[str, str]) -> str:
    """Write a sample as text: a name where one is known, with its id behind it."""
    return ", ".join(
        f"{name.removesuffix('_id')} {names[str(value)]} ({value})"
        if str(value) in names
        else f"{name} {value}"
        for name, value in example.items()
    )


def read_names(dsn: str, verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Return the names of the tenants, properties and meters in the samples of these verdicts, by id.

    They are read when a person asks: a stored sample holds ids alone. Raises `psycopg.Error`.
    """
    samples = [row for verdict in verdicts for broken in verdict.failed for row in broken["sample"]]
    ids = {kind: sorted({str(row[kind]) for row in samples if row.get(kind)}) for kind in _NAMES}
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return {
            key: name
            for kind, statement in _NAMES.items()
            if ids[kind]
            for key, name in connection.execute(statement, (ids[kind],)).fetchall()
        }


def save_verdicts(connection: psycopg.Connection, verdicts: Sequence[Verdict]) -> None:
    """Store verdicts in `warehouse_staging.gate_results`; the caller commits. Raises `psycopg.Error`.

    Older verdicts than the newest `DETAILED_VERDICTS` of the gate and table stay, without their `results`.
    """
    tables = sorted({(verdict.gate, verdict.table) for verdict in verdicts})
    rows = [
        (
            v.gate,
            v.table,
            v.date_from,
            v.date_to,
            v.run_id or BY_HAND,
            v.passed,
            v.expectations,
            Jsonb(v.failed),
            v.checked_at,
            v.rows,
            v.seconds,
            Jsonb(v.results),
            list(v.left_out),
        )
        for v in verdicts
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"set role {CHECKER_ROLE}")
        cursor.executemany(
            "insert into warehouse_staging.gate_results (gate, table_name, reading_date_from,"
            " reading_date_to, run_id, passed, expectations, failed, checked_at, row_count, seconds, results,"
            " left_out) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[])",
            rows,
        )
        cursor.executemany(_EMPTY_OLD_RESULTS, [(*table, *table, DETAILED_VERDICTS - 1) for table in tables])


def last_verdicts(dsn: str) -> list[Verdict]:
    """Return the last verdict of each gate and table, in the order of the pipeline.

    Raises `psycopg.Error`.
    """
    return recent_verdicts(dsn, 1)


def failing_verdicts(dsn: str) -> list[Verdict]:
    """Return the failed verdicts that still hold for a date, in the order of the pipeline.

    A verdict holds for a date until the same gate judges the same table on that date again: a later range
    that passes does not hide it. Raises `psycopg.Error`.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(_FAILING).fetchall()
    return [_to_verdict(row) for row in found]


def failed_verdicts_of(dsn: str, run_id: str) -> list[Verdict]:
    """Return the failed verdicts of one run, in the order of the pipeline. Raises `psycopg.Error`."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(
            "select * from warehouse_staging.gate_results where run_id = %s and not passed"
            " order by gate, table_name",
            (run_id,),
        ).fetchall()
    return [_to_verdict(row) for row in found]


def recent_verdicts(dsn: str, per_table: int) -> list[Verdict]:
    """Return the newest `per_table` verdicts of each gate and table, in the order of the pipeline.

    Verdicts from before `rows` and `seconds` were stored have 0. Raises `psycopg.Error`.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(
            "select * from (select *, row_number() over"
            " (partition by gate, table_name order by checked_at desc, id desc) as place"
            " from warehouse_staging.gate_results) as numbered"
            " where place <= %s order by gate, table_name, place",
            (per_table,),
        ).fetchall()
    return [_to_verdict(row) for row in found]


def newest_verdict_at(dsn: str) -> datetime | None:
    """Return when the newest verdict was made; None without verdicts. Raises `psycopg.Error`."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute("select max(checked_at) from warehouse_staging.gate_results").fetchone()
    return found[0] if found else None


def _to_verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(
        gate=row["gate"],
        table=row["table_name"],
        passed=row["passed"],
        failed=row["failed"],
        expectations=row["expectations"],
        rows=row["row_count"] or 0,
        date_from=row["reading_date_from"],
        date_to=row["reading_date_to"],
        run_id=row["run_id"],
        results=row["results"],
        seconds=row["seconds"] or 0.0,
        checked_at=row["checked_at"],
        left_out=tuple(map(str, row["left_out"])),
    )
