"""BigQuery in this process: the client that dbt is given instead of Google's, on Google's own SQL engine.

Belongs here: the few calls of `google.cloud.bigquery.Client` that dbt-bigquery makes, tables and views held
in memory, and a record of every statement. Each is analysed before anything else, so a build through
this client passes only if GoogleSQL accepts all of it. What is proved of the record does not belong here.
"""

import csv
import io
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import Dataset, DatasetReference, SchemaField, Table, TableReference
from google.cloud.bigquery.table import Row as ClientRow
from google.cloud.bigquery.table import TableListItem, TimePartitioning
from sqlglot import exp, parse_one

from . import merge, script
from .engine import Analysed, Column, Contents, GoogleSqlError, Relation, Row, analyse, execute, type_name

Path = tuple[str, str, str]
STATEMENT_TYPES = {
    "CreateTableAsSelect": "CREATE_TABLE_AS_SELECT",
    "CreateView": "CREATE_VIEW",
    "CreateSchema": "CREATE_SCHEMA",
    "Drop": "DROP_TABLE",
    "Merge": "MERGE",
    "AlterTable": "ALTER_TABLE",
    "AlterTableSetOptions": "ALTER_TABLE",
}


LABELS = re.compile(r"/\*\s*\{[^{}]*\}\s*\*/\s*;?\s*$")
# Functions that give another value each time.
VOLATILE = re.compile(r"\b(current_\w+|generate_uuid|rand)\b", re.IGNORECASE)
# The reference implementation analyses this function and cannot run it.
ASKING = re.compile(r"\bsession_user\(\)", re.IGNORECASE)


@dataclass
class Stored:
    """A table or a view of this process; a view keeps its query and no rows."""

    relation: Relation
    rows: list[Row] = field(default_factory=list)
    query: str | None = None
    partition_field: str | None = None
    cluster_fields: list[str] | None = None
    description: str | None = None
    requires_filter: bool = False


@dataclass(frozen=True)
class Selected:
    """The answer to a query, and its inputs: while they are kept, no other list has the id of theirs."""

    contents: list[Contents]
    answer: tuple[tuple[Column, ...], list[Row]]


@dataclass(frozen=True)
class Statement:
    """One statement that dbt sent; `context` is the comment in front of it, which names the node."""

    sql: str
    kind: str
    columns: tuple[Column, ...]


class Result:
    """What `QueryJob.result()` gives: rows with a schema."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        self.columns = tuple(columns)
        self.schema = [SchemaField(c.name or f"f{i}_", c.type) for i, c in enumerate(columns)]
        self.rows = rows
        self.total_rows = len(rows)

    def __iter__(self) -> Iterator[ClientRow]:
        places = {f.name: i for i, f in enumerate(self.schema)}
        return iter([ClientRow(row, places) for row in self.rows])


@dataclass
class Job:
    """The attributes of a `QueryJob` that dbt-bigquery reads."""

    job_id: str
    project: str
    statement_type: str
    destination: TableReference | None
    found: Result
    num_dml_affected_rows: int = 0
    location: str = "local"
    total_bytes_processed: int = 0
    total_bytes_billed: int = 0
    slot_millis: int = 0

    def result(self, **_: Any) -> Result:
        """The rows, which are there already."""
        return self.found


@dataclass
class LoadJob:
    """A load that is done, as dbt-bigquery asks for it."""

    state: str = "DONE"
    error_result: None = None

    def result(self, **_: Any) -> "LoadJob":
        """Itself, as a load of Google's client."""
        return self


class InMemoryBigQuery:
    """One project's datasets and tables, and every statement that was run on them in `statements`."""

    def __init__(self, project: str, tables: Iterable[Stored] = (), asking: str = "myproperty_dbt") -> None:
        """`asking` is who asks, as the seed `tenant_readers` names it."""
        self.project = project
        account = f"{asking.replace('_', '-')}@{project}.iam.gserviceaccount.com"
        self.asking = asking if "@" in asking else account
        self.statements: list[Statement] = []
        self.tables: dict[Path, Stored] = {}
        self.datasets: set[str] = set()
        self._answers: dict[Path, Result] = {}
        # The rows of a view, with the rows of all tables that it is made of when they were computed.
        self._views: dict[Path, tuple[list[list[Row]], list[Row]]] = {}
        # Answers of the engine by statement and inputs, which two builds repeat. A table that is stored again
        # with equal rows keeps its former list of rows, so the same list is the same input.
        self._analysed: dict[tuple[str, tuple[Relation, ...]], Analysed] = {}
        self._selected: dict[tuple[str, tuple[tuple[Relation, int], ...]], Selected] = {}
        self._former: dict[Path, list[Row]] = {}
        self.store(tables)

    def store(self, tables: Iterable[Stored]) -> None:
        """Store tables, each in place of the previous one of its name."""
        for table in tables:
            path = table.relation.path
            rows = self._same_list(path, table.rows)
            self.tables[path] = replace(table, rows=rows)
            self.datasets.add(path[1])

    def copies(self) -> list[Stored]:
        """Return all tables and views as they are now; later statements do not change the copies."""
        return [replace(table) for table in self.tables.values()]

    def _same_list(self, path: Path, rows: list[Row]) -> list[Row]:
        former = self._former.get(path)
        if former is None or (former is not rows and Counter(former) != Counter(rows)):
            self._former[path] = rows
        return self._former[path]

    # What dbt asks of tables and datasets

    def close(self) -> None:
        """Nothing is open."""

    def get_table(self, reference: Any, **_: Any) -> Table:
        """The table, or NotFound."""
        path = (reference.project, reference.dataset_id, reference.table_id)
        if path in self._answers:
            answer = Table(reference, schema=self._answers[path].schema)
            answer._properties["numRows"] = str(self._answers[path].total_rows)
            return answer
        if path not in self.tables:
            raise NotFound(f"table {'.'.join(path)}")  # type: ignore[no-untyped-call]
        return _as_table(self.tables[path])

    def list_tables(self, dataset: Any, **_: Any) -> Iterator[TableListItem]:
        """The tables of a dataset; NotFound comes with the first one asked for, as from Google's client."""
        if dataset.dataset_id not in self.datasets:
            raise NotFound(f"dataset {dataset.dataset_id}")  # type: ignore[no-untyped-call]
        chosen = [s for path, s in self.tables.items() if path[1] == dataset.dataset_id]
        yield from (TableListItem(_as_table(s).to_api_repr()) for s in chosen)  # type: ignore[no-untyped-call]

    def list_routines(self, dataset: Any, **_: Any) -> list[Any]:
        """None are made."""
        return []

    def get_routine(self, reference: Any, **_: Any) -> Any:
        """None are made."""
        raise NotFound(str(reference))  # type: ignore[no-untyped-call]

    def list_datasets(self, **_: Any) -> list[DatasetReference]:
        """All datasets."""
        return [DatasetReference(self.project, name) for name in sorted(self.datasets)]

    def get_dataset(self, reference: Any, **_: Any) -> Dataset:
        """The dataset, or NotFound."""
        if reference.dataset_id not in self.datasets:
            raise NotFound(f"dataset {reference.dataset_id}")  # type: ignore[no-untyped-call]
        return Dataset(reference)

    def create_dataset(self, dataset: Any, **_: Any) -> Dataset:
        """Make a dataset, which may be there."""
        self.datasets.add(dataset.dataset_id)
        return Dataset(dataset)

    def delete_table(self, reference: Any, **_: Any) -> None:
        """Remove a table, which may be absent."""
        self.tables.pop((reference.project, reference.dataset_id, reference.table_id), None)

    def update_table(self, table: Table, fields: Sequence[str], **_: Any) -> Table:
        """Take a description, or a schema that only adds columns."""
        stored = self.tables[(table.project, table.dataset_id, table.table_id)]
        if "description" in fields:
            stored.description = table.description
        if "schema" in fields:
            _widen(stored, [Column(f.name, f.field_type) for f in table.schema])
        return _as_table(stored)

    # Seeds

    def load_table_from_file(self, lines: Any, destination: Any, job_config: Any = None, **_: Any) -> LoadJob:
        """A load job of CSV with a header, replacing the table; its types are those of the configuration."""
        schema = tuple(Column(f.name, type_name(f.field_type)) for f in job_config.schema)
        text = lines.read().decode()
        rows = [
            tuple(from_text(value, column.type) for value, column in zip(row, schema, strict=True))
            for row in list(csv.reader(io.StringIO(text)))[job_config.skip_leading_rows :]
        ]
        path = (destination.project, destination.dataset_id, destination.table_id)
        self.store([Stored(Relation(path, schema), rows)])
        return LoadJob()

    # Statements

    def query(self, query: str, job_config: Any = None, job_id: str | None = None, **_: Any) -> Job:
        """Analyse and run every statement of a script; a refusal is a BadRequest with Google's own words."""
        try:
            jobs = [self._run(sql, job_id or str(uuid.uuid4())) for sql in script.split(query)]
        except GoogleSqlError as error:
            refusal = BadRequest(str(error), errors=[{"message": str(error), "reason": "invalidQuery"}])  # type: ignore[no-untyped-call]
            raise refusal from error
        if len(jobs) > 1:
            jobs[-1].statement_type = "SCRIPT"
        return jobs[-1]

    def relations(self) -> list[Relation]:
        """Every table and view, for the analyzer."""
        return [s.relation for s in self.tables.values()]

    def select(self, sql: str) -> tuple[tuple[Column, ...], list[Row]]:
        """Run a query on the tables and views that its text names.

        One that ends in LIMIT 0 is only analysed: dbt asks so for the columns of a model.
        """
        named = [s for s in self.tables.values() if s.relation.quoted in sql]
        if script.has_limit_zero(sql):
            return self._analyse(sql, [s.relation for s in named]).columns, []
        contents = [self._contents(s) for s in named]
        key = without_labels(sql), tuple((c.relation, id(c.rows)) for c in contents)
        if key not in self._selected:
            answer = execute(ASKING.sub(f"'{self.asking}'", sql), contents)
            if VOLATILE.search(sql):
                return answer
            self._selected[key] = Selected(contents, answer)
        return self._selected[key].answer

    def _analyse(self, sql: str, relations: Sequence[Relation]) -> Analysed:
        key = without_labels(sql), tuple(relations)
        if key not in self._analysed:
            self._analysed[key] = analyse(sql, relations)
        return self._analysed[key]

    def _contents(self, stored: Stored) -> Contents:
        if stored.query is None:
            return Contents(stored.relation, stored.rows)
        sources = self._sources(stored)
        known = self._views.get(stored.relation.path)
        # A change of a table gives it another list of rows, so the same lists are the same rows.
        if known is None or [id(rows) for rows in known[0]] != [id(rows) for rows in sources]:
            known = self._views[stored.relation.path] = sources, self.select(stored.query)[1]
        return Contents(stored.relation, known[1])

    def _sources(self, view: Stored) -> list[list[Row]]:
        """Return the rows of all tables behind a view, through other views."""
        found: list[list[Row]] = []
        for stored in self.tables.values():
            if stored.relation.quoted in (view.query or ""):
                found.extend([stored.rows] if stored.query is None else self._sources(stored))
        return found

    def _run(self, sql: str, job_id: str) -> Job:
        if script.is_query(sql):  # the reference implementation analyses it first
            found, answer = self._run_query(sql)
            self.statements.append(Statement(sql, "Query", found.columns))
            return Job(job_id, self.project, "SELECT", answer, found)
        named = [r for r in self.relations() if r.quoted in sql]
        analysed = self._analyse(sql, named)
        self.statements.append(Statement(sql, analysed.kind, analysed.columns))
        runner = {
            "CreateTableAsSelect": self._run_create,
            "CreateView": self._run_create,
            "CreateSchema": self._run_schema,
            "Drop": self._run_drop,
            "Merge": self._run_merge,
            "AlterTable": self._run_rename,
            "AlterTableSetOptions": self._run_set_options,
        }.get(analysed.kind)
        if runner is None:
            raise GoogleSqlError(
                f"a {analysed.kind} statement is accepted by GoogleSQL but not run here:\n{sql}"
            )
        found, destination = runner(sql, analysed.target, analysed.columns)
        kind = STATEMENT_TYPES[analysed.kind]
        return Job(job_id, self.project, kind, destination, found, found.total_rows)

    def _run_query(self, sql: str) -> tuple[Result, TableReference]:
        columns, rows = self.select(sql)
        path = (self.project, "_answers", f"anon{uuid.uuid4().hex}")
        self._answers[path] = Result(columns, rows)
        return self._answers[path], _reference(path)

    def _run_create(
        self, sql: str, target: tuple[str, ...], columns: tuple[Column, ...]
    ) -> tuple[Result, TableReference]:
        path = self._path(target)
        query = script.query_of(sql)
        is_view = script.is_view(sql)
        # The analysis of the whole statement was an analysis of its query too.
        has_rows = not is_view and not script.has_limit_zero(query)
        rows = self.select(query)[1] if has_rows else []
        partition, cluster = _layout(sql)
        self._views.pop(path, None)
        stored = Stored(Relation(path, columns), rows, query if is_view else None, partition, cluster)
        stored.requires_filter = _find_filter_option(sql) or False
        self.store([stored])
        return Result(columns, rows), _reference(path)

    def _run_schema(self, _: str, target: tuple[str, ...], __: Any) -> tuple[Result, None]:
        self.datasets.add(target[-1])
        return Result([], []), None

    def _run_drop(self, _: str, target: tuple[str, ...], __: Any) -> tuple[Result, None]:
        self.tables.pop(self._path(target), None)
        return Result([], []), None

    def _run_rename(self, sql: str, target: tuple[str, ...], _: Any) -> tuple[Result, None]:
        words = [token.text for token in script.tokens(sql)]
        if [word.upper() for word in words[-3:-1]] != ["RENAME", "TO"]:
            raise GoogleSqlError(f"only RENAME TO is run here:\n{sql}")
        stored = self.tables.pop(self._path(target))
        path = self._path((*target[:2], words[-1]))
        if path in self.tables:
            raise GoogleSqlError(f"{'.'.join(path)} is there already")
        stored.relation = Relation(path, stored.relation.columns)
        self.store([stored])
        return Result([], []), None

    def _run_set_options(self, sql: str, target: tuple[str, ...], _: Any) -> tuple[Result, None]:
        """Options change no row: dbt sets them after the load of a seed."""
        if (asked := _find_filter_option(sql)) is not None:
            self.tables[self._path(target)].requires_filter = asked
        return Result([], []), None

    def _run_merge(self, sql: str, _: Any, __: Any) -> tuple[Result, None]:
        plan = merge.plan(sql)
        stored = self.tables[self._path(plan.target)]
        kept = merge.rows_after(plan, self._contents(stored), self.select(plan.source), stored.relation)
        before = set(stored.rows)
        changed = [row for row in kept if row not in before]
        stored.rows = self._same_list(stored.relation.path, kept)
        return Result(stored.relation.columns, changed), None

    def _path(self, target: Sequence[str]) -> Path:
        if len(target) != 3:
            raise GoogleSqlError(f"{'.'.join(target)}: name a table by project, dataset and table")
        return target[0], target[1], target[2]


def without_labels(sql: str) -> str:
    """Return the statement without dbt's comment at its end, which names the run."""
    return LABELS.sub("", sql)


def _reference(path: Path) -> TableReference:
    return TableReference(DatasetReference(path[0], path[1]), path[2])


def from_text(value: str | None, kind: str) -> Any:
    """The value of a CSV's field; an empty one is NULL."""
    if not value:
        return None
    read: dict[str, Callable[[str], Any]] = {
        "INT64": int,
        "NUMERIC": Decimal,
        "STRING": str,
        "BOOL": {"true": True, "false": False}.__getitem__,
        "DATE": date.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
    }
    return read[kind](value)


def _layout(sql: str) -> tuple[str | None, list[str] | None]:
    """The column that a CREATE statement partitions by, and those that it clusters by."""
    created = parse_one(sql, dialect="bigquery")
    partition = created.find(exp.PartitionedByProperty)
    cluster = created.find(exp.ClusterProperty)
    column = partition.find(exp.Column, exp.Identifier) if partition else None
    clustered = [c.name for c in cluster.find_all(exp.Identifier)] if cluster else None
    return (column.name if column else None), clustered


def _find_filter_option(sql: str) -> bool | None:
    """Whether a statement lets a table require a filter on its partitions; None if it says nothing of it."""
    found = re.search(r"require_partition_filter\s*=\s*(true|false)", sql, re.IGNORECASE)
    return found[1].lower() == "true" if found else None


def _as_table(stored: Stored) -> Table:
    schema = [SchemaField(c.name, c.type) for c in stored.relation.columns]
    table = Table(_reference(stored.relation.path), schema=schema)
    if stored.partition_field:
        table.time_partitioning = TimePartitioning(field=stored.partition_field)
    table.clustering_fields = stored.cluster_fields
    table.require_partition_filter = stored.requires_filter
    table.description = stored.description
    table._properties["type"] = "TABLE" if stored.query is None else "VIEW"
    table._properties["numRows"] = str(len(stored.rows))
    return table


def _widen(stored: Stored, columns: Sequence[Column]) -> None:
    known = stored.relation.columns
    if [c.name for c in columns[: len(known)]] != [c.name for c in known]:
        raise BadRequest(f"{stored.relation.quoted}: a schema may only add columns at its end")  # type: ignore[no-untyped-call]
    added = len(columns) - len(known)
    if added:
        stored.relation = Relation(stored.relation.path, (*known, *columns[len(known) :]))
        stored.rows = [(*row, *([None] * added)) for row in stored.rows]
