"""The rows that a load writes to `quarantined_readings`.

Not here: why a reading is quarantined (`rules`), or what people do with it afterwards (`quarantine`).
"""

from collections.abc import Iterator

import pyarrow as pa
from psycopg import sql

from data.ingest.readings.ledger import Job
from myproperty.database.ids import repeated, uuid7s
from myproperty.database.session import Session

# Identifies a row when its file is judged again.
_SAME_ROW = sql.SQL(
    """
    a.line = b.line and a.rule = b.rule
    and (coalesce(a.identifier, ''), coalesce(a.register, ''), coalesce(a.reading_ts, '-infinity'))
    = (coalesce(b.identifier, ''), coalesce(b.register, ''), coalesce(b.reading_ts, '-infinity'))
    """
)
_MARK_REPLAYED = sql.SQL(
    """
    update warehouse_staging.quarantined_readings as b
    set status = 'replayed', resolved_at = clock_timestamp()
    where b.tenant_id = $1::uuid and b.ingestion_job_id = $2::uuid and b.status = 'open'
      and not exists (select from pg_temp.still_wrong as a where {same_row})
    """
).format(same_row=_SAME_ROW)
_INSERT_NEW = sql.SQL(
    """
    insert into warehouse_staging.quarantined_readings
    select a.* from pg_temp.still_wrong as a
    where not exists (
        select from warehouse_staging.quarantined_readings as b
        where b.tenant_id = $1::uuid and b.ingestion_job_id = $2::uuid and b.status <> 'replayed'
          and {same_row}
    )
    """
).format(same_row=_SAME_ROW)


def write_quarantined(session: Session, tables: Iterator[pa.Table], job: Job) -> None:
    """Write the quarantined rows of a load (schema `REJECTED`).

    If the job is in the ledger already, its rows that are no longer wrong become `replayed`, and only new
    ones are inserted.
    """
    rows = (_as_stored(table, job) for table in tables)
    if not job.is_known:
        session.copy(rows, "quarantined_readings", "warehouse_staging")
        return
    session.execute(
        "create temporary table still_wrong (like warehouse_staging.quarantined_readings including defaults) "
        "on commit drop"
    )
    session.copy(rows, "still_wrong")
    session.execute("analyze pg_temp.still_wrong")
    for statement in (_MARK_REPLAYED, _INSERT_NEW):
        session.execute(statement, (str(job.tenant.id), str(job.id)))


def _as_stored(quarantined: pa.Table, job: Job) -> pa.Table:
    count = quarantined.num_rows
    same = ("line", "rule", "severity", "reason", "raw_text", "identifier", "register", "reading_ts", "unit")
    return pa.table(
        {
            "id": uuid7s(count),
            "tenant_id": repeated(job.tenant.id, count),
            "ingestion_job_id": repeated(job.id, count),
            "source_uri": pa.repeat(pa.scalar(job.source_uri), count),
            "value_native": quarantined["value"],
            **{name: quarantined[name] for name in same},
        }
    )
