"""The raw layer in BigQuery: queries, and a Parquet load job for each table and partition.

Here: the calls of the client, the same for Google's BigQuery and the emulator. Not here: the interface
(`warehouse`), or the SQL of the fingerprint (`data.landing.fingerprint`).
"""

import datetime
import hashlib
import io
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from data.ingest.errors import IngestError, QueryRefused
from data.landing.entities import Entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_sql
from data.raw.accounts import MOST_BYTES_OF_A_READER, find_account
from data.raw.columns import find_new_columns
from data.raw.partitions import check_partitions, range_filter
from data.raw.rights import PUBLISHED
from myproperty import engines
from myproperty.database.roles import WAREHOUSE_DBT, WAREHOUSE_GATES, WAREHOUSE_RAW, WAREHOUSE_READER, Login
from myproperty.engines.emulator.client import bigquery_client
from myproperty.settings import Settings

# dbt sets it too, in `query_labels`.
RUN_LABEL = "run"
# The label `work` of jobs that are not dbt's; a person's question has no other.
WORK: dict[Login | str, str] = {WAREHOUSE_RAW: "load", WAREHOUSE_GATES: "gate"}
# A load and its merge take minutes: an older table of changed rows was left by a process that was killed.
LEFT_AFTER = datetime.timedelta(hours=1)
CANCELLING_S = 60
# Of a query that reads more tables, a job's statistics list some.
MOST_LISTED_TABLES = 50
GRANTED = "docs/logins.md lists what to grant, and how to look at what is granted."


def open_bigquery(settings: Settings, run_id: str | None = None) -> "BigQueryWarehouse":
    """Open BigQuery, or the emulator of the settings; its jobs have the labels that dbt's have too.

    Raises `IngestError` if the emulator is down.
    """
    endpoint = settings.bigquery_endpoint
    if settings.warehouse == "emulator" and endpoint is None:
        endpoint = engines.status(settings).warehouse.get("endpoint")
        if endpoint is None:
            raise IngestError("the BigQuery emulator is not running: start it with `myproperty up`")

    def connect(login: Login | str) -> bigquery.Client:
        account = login if isinstance(login, str) else engines.account(settings, login)
        labels = {"app": "myproperty", "work": WORK.get(login, "question")}
        return bigquery_client(
            endpoint,
            settings.bigquery_project,
            settings.bigquery_location,
            account,
            labels=labels | ({RUN_LABEL: run_id} if run_id else {}),
            maximum_bytes_billed=settings.bigquery_maximum_bytes_billed,
        )

    return BigQueryWarehouse(connect, settings.bigquery_project, settings.warehouse, settings.dataset_prefix)


class BigQueryWarehouse:
    """Raw tables in the dataset `<prefix>raw`."""

    def __init__(
        self,
        connect: Callable[[Login | str], bigquery.Client],
        project: str,
        kind: str = "bigquery",
        prefix: str = "",
    ) -> None:
        """`connect` makes the client of a login's account, or of an account, when it is first needed."""
        if not re.fullmatch(r"[A-Za-z0-9_]*", prefix):
            raise IngestError(
                f"dataset prefix {prefix!r}: use letters, digits and _ in MYPROPERTY_DATASET_PREFIX"
            )
        self.kind = kind
        self._connect = connect
        self._clients: dict[Login | str, bigquery.Client] = {}
        self._project = project
        self._published = {f"{prefix}{layer}" for layer in PUBLISHED}
        self._prefix = prefix
        self._dataset = f"{project}.{prefix}raw"

    def ensure_table(self, entity: Entity) -> list[str]:
        """See `Warehouse`. With a partition column, partitioned by day, and a query must filter by it."""
        client = self._client(WAREHOUSE_RAW)
        try:
            # Asked first: an account that may only load could not create it, even where it exists.
            client.get_dataset(self._dataset)
        except NotFound:
            dataset = bigquery.Dataset(self._dataset)
            dataset.location = client.location
            client.create_dataset(dataset, exists_ok=True)
        table = bigquery.Table(self._name(entity), schema=table_schema(entity))
        table.clustering_fields = list(entity.cluster)
        if entity.partition_column is not None:
            table.time_partitioning = bigquery.TimePartitioning(
                type_=bigquery.TimePartitioningType.DAY, field=entity.partition_column
            )
            table.require_partition_filter = True
        existing = client.create_table(table, exists_ok=True)
        wanted = {field.name: _type_name(field) for field in table.schema}
        found = {field.name: _type_name(field) for field in existing.schema}
        added = find_new_columns(f"{self._dataset}.{entity.name}", entity, wanted, found)
        if added:
            new = [field for field in table.schema if field.name in added]
            existing.schema = [*existing.schema, *new]
            client.update_table(existing, ["schema"])
        return added

    def load_partitions(
        self,
        entity: Entity,
        rows: Iterable[pa.Table],
        partitions: Sequence[datetime.date] | None,
        load_key: str,
    ) -> int:
        """See `Warehouse`. A second attempt finds the first job by its id, which BigQuery keeps unique.

        The id is a hash of the key and the rows: other rows under the same key are another load. If the job
        that is found ended in an error, the load runs again under the id of the next generation. A load job
        replaces one partition; several are replaced by one transaction, from a table beside theirs.
        """
        content, count = _parquet(entity, check_partitions(entity, rows, partitions))
        if partitions is not None and len(partitions) > 1:
            self._replace_partitions(entity, content, partitions, load_key)
            return count
        target = self._name(entity) + (f"${partitions[0]:%Y%m%d}" if partitions else "")
        for generation in itertools.count():
            job = self._start_load(entity, target, content, job_id(target, load_key, content, generation))
            if job is not None:
                job.result()
                break
        return count

    def _start_load(
        self, entity: Entity, target: str, content: bytes, wanted: str
    ) -> bigquery.LoadJob | None:
        """Start the job `wanted`, or return the one that has this id; None if that one ended in an error."""
        try:
            return self._client(WAREHOUSE_RAW).load_table_from_file(
                io.BytesIO(content),
                target,
                job_id=wanted,
                job_config=self._load_config(entity),
                num_retries=3,
            )
        except Conflict:
            found = cast(bigquery.LoadJob, self._client(WAREHOUSE_RAW).get_job(wanted))
            return None if found.error_result else found

    def _replace_partitions(
        self, entity: Entity, content: bytes, partitions: Sequence[datetime.date], load_key: str
    ) -> None:
        """Replace partitions by the rows of a second table, which is loaded by one job and dropped."""
        target = self._name(entity)
        client = self._client(WAREHOUSE_RAW)
        for generation in itertools.count():
            wanted = job_id(target, load_key, content, generation)
            try:
                found = client.get_job(wanted)
            except NotFound:
                break
            if not found.error_result:
                found.result()
                return
        with self._load_beside(entity, content, load_key) as changed:
            client.query(replace_sql(entity, target, changed, partitions), job_id=wanted).result()

    @contextmanager
    def _load_beside(self, entity: Entity, content: bytes, load_key: str) -> Iterator[str]:
        """Load rows into a table beside theirs, named after the key, and drop it at the end of the block."""
        self._drop_left_tables(entity)
        changed = f"{self._name(entity)}_changed_{hashlib.sha256(load_key.encode()).hexdigest()[:16]}"
        config = self._load_config(entity)
        config.create_disposition = bigquery.CreateDisposition.CREATE_IF_NEEDED
        client = self._client(WAREHOUSE_RAW)
        client.load_table_from_file(io.BytesIO(content), changed, job_config=config, num_retries=3).result()
        try:
            yield changed
        finally:
            client.delete_table(changed, not_found_ok=True)

    def merge(self, entity: Entity, rows: Iterable[pa.Table], load_key: str) -> None:
        """See `Warehouse`. Loads a second table, merges it, and drops it."""
        content, count = _parquet(entity, rows)
        if not count:
            self._drop_left_tables(entity)
            return
        with self._load_beside(entity, content, load_key) as changed:
            statement = merge_sql(entity, self._name(entity), changed)
            self._client(WAREHOUSE_RAW).query_and_wait(statement)

    def _drop_left_tables(self, entity: Entity) -> None:
        """Drop the tables of changed rows of this entity that killed processes have left."""
        client = self._client(WAREHOUSE_RAW)
        oldest = datetime.datetime.now(datetime.UTC) - LEFT_AFTER
        for table in client.list_tables(self._dataset):
            if (
                re.fullmatch(f"{entity.name}_changed_[0-9a-f]{{16}}", table.table_id)
                and table.created < oldest
            ):
                client.delete_table(table, not_found_ok=True)

    def cancel_jobs(self, has_ended: Callable[[str], bool]) -> list[str]:
        """See `Warehouse`. Those of the loader and of dbt: an account lists and cancels its own jobs."""
        cancelled = []
        for login in (WAREHOUSE_RAW, WAREHOUSE_DBT):
            client = self._client(login)
            for state in ("pending", "running"):
                for job in client.list_jobs(state_filter=state):
                    run_id = job.labels.get(RUN_LABEL)
                    if run_id and job.job_id not in cancelled and has_ended(run_id):
                        _cancel(job)
                        cancelled.append(job.job_id)
        return cancelled

    def latest_landing(self, entity: Entity) -> datetime.datetime | None:
        """See `Warehouse`."""
        statement = f"select max(landed_at) as latest from `{self._name(entity)}`"  # noqa: S608
        latest: datetime.datetime | None = self._read(WAREHOUSE_RAW, statement)["latest"][0].as_py()
        return latest

    def settle(self, entity: Entity) -> None:
        """See `Warehouse`. BigQuery updates its statistics itself."""

    def fingerprint(
        self, entity: Entity, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> pd.DataFrame:
        """See `Warehouse`."""
        where = range_filter(entity, start, end)
        statement = fingerprint_sql(entity, f"`{self._name(entity)}`", "bigquery", where)
        return fingerprint_frame(entity, self._read(WAREHOUSE_RAW, statement))

    def query(self, statement: str) -> pa.Table:
        """See `Warehouse`. As the account of the gates."""
        return self._read(WAREHOUSE_GATES, statement)

    def _read(self, login: Login, statement: str) -> pa.Table:
        found: pa.Table = (
            self._client(login).query_and_wait(statement).to_arrow(create_bqstorage_client=self._is_real)
        )
        return found

    def ask(self, statement: str, most: int, reader: str | None = None) -> pa.Table:
        """See `Warehouse`. As the account of that name, or as the account of readers.

        A dry run, which is free, reports kind, tables and cost of the statement first: where all jobs share
        one account, only this keeps a question to the published layers.
        """
        client = self._client(find_account(reader, self._project) if reader else WAREHOUSE_READER)
        try:
            planned = client.query(statement, bigquery.QueryJobConfig(dry_run=True))
            self._check_plan(planned)
            config = bigquery.QueryJobConfig(maximum_bytes_billed=MOST_BYTES_OF_A_READER)
            found: pa.Table = client.query_and_wait(statement, job_config=config, max_results=most).to_arrow(
                create_bqstorage_client=False
            )
            return found
        except GoogleAPICallError as error:
            raise QueryRefused(error.errors[0]["message"] if error.errors else error.message) from error
        except GoogleAuthError as error:
            raise IngestError(f"Google lets nobody ask: {error}. {GRANTED}") from error

    def _check_plan(self, planned: bigquery.QueryJob) -> None:
        if planned.statement_type != "SELECT":
            raise QueryRefused(f"a {planned.statement_type} statement would write")
        tables = planned.referenced_tables
        if len(tables) >= MOST_LISTED_TABLES:
            raise QueryRefused(
                f"it reads {MOST_LISTED_TABLES} tables or more: Google does not list all of them"
            )
        for table in tables:
            if table.project != self._project or table.dataset_id not in self._published:
                raise QueryRefused(f"{table.dataset_id}.{table.table_id} is not published")
        if (planned.total_bytes_processed or 0) > MOST_BYTES_OF_A_READER:
            raise QueryRefused(
                f"it would read {planned.total_bytes_processed / 2**30:.1f} GiB, more than the "
                f"{MOST_BYTES_OF_A_READER // 2**30} GiB of a query: filter reading_date"
            )

    def name_account(self, login: Login) -> str:
        """Return the account that the jobs of a login act as. Raises `IngestError` if Google lets none."""
        try:
            row = next(iter(self._client(login).query_and_wait("select session_user() as account")))
        except (GoogleAPICallError, GoogleAuthError) as error:
            raise IngestError(f"{login.name} cannot ask BigQuery: {error}. {GRANTED}") from error
        return str(row["account"])

    def find_refusal(self, login: Login, layer: str, table: str) -> str | None:
        """Return why BigQuery lets a login not read a whole table, None if it does; asked by a dry run."""
        statement = f"select 1 from `{self._project}.{self._prefix}{layer}.{table}`"  # noqa: S608
        try:
            self._client(login).query(statement, bigquery.QueryJobConfig(dry_run=True))
        except GoogleAPICallError as error:
            return str(error.message)
        except GoogleAuthError as error:
            raise IngestError(f"{login.name} cannot ask BigQuery: {error}. {GRANTED}") from error
        return None

    def find_location(self) -> str:
        """Return where the dataset of raw lies. Raises `IngestError` if it cannot be seen."""
        try:
            return str(self._client(WAREHOUSE_RAW).get_dataset(self._dataset).location)
        except (GoogleAPICallError, GoogleAuthError) as error:
            raise IngestError(f"the dataset {self._dataset} cannot be seen: {error}. {GRANTED}") from error

    def stamp_relations(self) -> dict[str, str]:
        """See `Warehouse`. Unknown: the emulator does not say when a table was changed."""
        return {}

    def close(self) -> None:
        """Close the connections of all clients."""
        for client in self._clients.values():
            client.close()  # type: ignore[no-untyped-call]

    def _client(self, login: Login | str) -> bigquery.Client:
        if login not in self._clients:
            self._clients[login] = self._connect(login)
        return self._clients[login]

    @property
    def _is_real(self) -> bool:
        """Whether this is Google's BigQuery: its Storage API reads many rows faster."""
        return self.kind == "bigquery"

    def _name(self, entity: Entity) -> str:
        return f"{self._dataset}.{entity.name}"

    @staticmethod
    def _load_config(entity: Entity) -> bigquery.LoadJobConfig:
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            schema=table_schema(entity),
        )
        config.clustering_fields = list(entity.cluster)
        if entity.partition_column is not None:
            config.time_partitioning = bigquery.TimePartitioning(field=entity.partition_column)
        return config


def _cancel(job: Any) -> None:
    """Cancel a job and wait until it has ended, at most CANCELLING_S seconds."""
    job.cancel()
    deadline = time.monotonic() + CANCELLING_S
    while job.state != "DONE" and time.monotonic() < deadline:
        time.sleep(1)
        job.reload()


def job_id(target: str, load_key: str, content: bytes, generation: int = 0) -> str:
    """Return the same id for the same load, of characters that BigQuery allows: letters, digits, - and _.

    `generation` counts the earlier jobs of this load, which all ended in an error.
    """
    digest = hashlib.sha256()
    for part in (target.encode(), load_key.encode(), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"raw-{digest.hexdigest()}" + (f"-{generation}" if generation else "")


def merge_sql(entity: Entity, target: str, changed: str) -> str:
    """Return the MERGE that replaces the rows of `target` with the keys of `changed`, and adds the others."""
    names = entity.schema.names
    same = " and ".join(f"t.{name} = s.{name}" for name in entity.key)
    taken = ", ".join(f"{name} = s.{name}" for name in names if name not in entity.key)
    # Names of tables and columns come from entities and settings: no text here is user input.
    return (
        f"merge into `{target}` as t using `{changed}` as s on {same} "  # noqa: S608
        f"when matched then update set {taken} "
        f"when not matched then insert ({', '.join(names)}) values ({', '.join(f's.{n}' for n in names)})"
    )


def replace_sql(entity: Entity, target: str, changed: str, partitions: Sequence[datetime.date]) -> str:
    """Return the transaction that replaces partitions of `target` by the rows of `changed`."""
    names = ", ".join(entity.schema.names)
    dates = ", ".join(f"date '{partition:%Y-%m-%d}'" for partition in partitions)
    # Names of tables and columns come from entities and settings: no text here is user input.
    delete = f"delete from `{target}` where {entity.partition_column} in ({dates})"  # noqa: S608
    insert = f"insert into `{target}` ({names}) select {names} from `{changed}`"  # noqa: S608
    return f"begin transaction; {delete}; {insert}; commit transaction"


def table_schema(entity: Entity) -> list[bigquery.SchemaField]:
    """Return the columns of raw.<entity>."""
    return [_field(field) for field in entity.schema]


def _field(field: pa.Field) -> bigquery.SchemaField:
    if pa.types.is_decimal(field.type):
        return bigquery.SchemaField(
            field.name, "NUMERIC", precision=field.type.precision, scale=field.type.scale
        )
    if pa.types.is_timestamp(field.type):
        return bigquery.SchemaField(field.name, "TIMESTAMP")
    types: dict[Any, str] = {
        pa.string(): "STRING",
        pa.int32(): "INT64",
        pa.bool_(): "BOOL",
        pa.date32(): "DATE",
    }
    return bigquery.SchemaField(field.name, types[field.type])


def _type_name(field: bigquery.SchemaField) -> str:
    """Return the type of a column: the API answers with the older names of some types."""
    name = {"INTEGER": "INT64", "BOOLEAN": "BOOL"}.get(field.field_type, field.field_type)
    return f"{name}({field.precision},{field.scale})" if field.precision else str(name)


def _parquet(entity: Entity, rows: Iterable[pa.Table]) -> tuple[bytes, int]:
    """Return a Parquet file of the rows, compressed, and their number."""
    buffer, count = io.BytesIO(), 0
    with pq.ParquetWriter(buffer, entity.schema, compression="zstd") as writer:
        for table in rows:
            writer.write_table(table)
            count += table.num_rows
    return buffer.getvalue(), count
