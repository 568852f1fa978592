"""What people do with readings that were turned away: list, show, resolve, and replay.

Here: the quarantine after a load. Not here: why a reading is quarantined (`vee`), or the load (`load`).
"""

import datetime
import json
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import fsspec

from data.ingest.errors import IngestError
from data.ingest.formats import content_hash
from data.ingest.formats.mapping import Mapping, load_identity, parse_mapping
from data.ingest.readings.load import (
    LOADER_ROLE,
    IngestResult,
    Job,
    load,
    lock_content,
    read_mapped,
)
from myproperty.database.session import Session, transaction
from myproperty.tenants import Tenant, find_tenant

_COLUMNS = """
    q.id::text, t.name, q.ingestion_job_id::text, q.source_uri, q.line, q.rule, q.severity, q.reason,
    q.raw_text, q.identifier, q.register, q.reading_ts, trim_scale(q.value_native)::text, q.unit, q.status,
    q.resolved_by, q.resolved_at, q.resolution_note
"""
_FROM = """
    from warehouse_staging.quarantined_readings as q
    join myproperty.tenants as t on t.id = q.tenant_id
"""


@dataclass(frozen=True)
class QuarantinedReading:
    """One row that was turned away, as it stood in the file, and what became of it."""

    id: str
    tenant: str
    job_id: str
    source_uri: str
    line: int | None
    rule: str
    severity: str
    reason: str
    raw_text: str | None
    identifier: str | None
    register: str | None
    reading_ts: datetime.datetime | None
    value_native: str | None
    unit: str | None
    status: str
    resolved_by: str | None
    resolved_at: datetime.datetime | None
    resolution_note: str | None


def list_readings(
    dsn: str, *, tenant: str | None = None, status: str | None = "open", limit: int = 100
) -> list[QuarantinedReading]:
    """Rows of the quarantine, the newest first; of one tenant (id or name) and one status, or of all."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            f"select {_COLUMNS} {_FROM} "
            "where ($1 = '' or q.tenant_id::text = $1) and ($2 = '' or q.status = $2) "
            "order by q.id desc limit $3",
            (owner, status or "", limit),
        )
    return [QuarantinedReading(*row) for row in rows]


def counts(dsn: str, tenant: str | None = None) -> list[dict[str, str | int]]:
    """How many rows a tenant, or each, has in quarantine by rule and status, with an example."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            f"select t.name, q.rule, q.status, count(*), min(q.reason) {_FROM} "
            "where ($1 = '' or q.tenant_id::text = $1) "
            "group by t.name, q.rule, q.status order by t.name, q.rule, q.status",
            (owner,),
        )
    return [dict(zip(("tenant", "rule", "status", "rows", "for example"), row, strict=True)) for row in rows]


def show(dsn: str, quarantined_id: str) -> QuarantinedReading:
    """One row. Raises `IngestError` if there is none of this id."""
    with transaction(dsn, LOADER_ROLE) as session:
        return _show(session, quarantined_id)


def resolve(dsn: str, quarantined_id: str, *, by: str, note: str) -> QuarantinedReading:
    """Close a row for good: it will not be loaded, `by` says so and `note` why.

    Raises `IngestError` if there is no such row, it is closed already, or name or note is missing.
    """
    if not by.strip() or not note.strip():
        raise IngestError("a resolution names who decided and why: give both, the trail has nothing else")
    with transaction(dsn, LOADER_ROLE) as session:
        found = _show(session, quarantined_id)
        if found.status != "open":
            raise IngestError(
                f"quarantined reading {found.id} is {found.status}: only an open one is resolved"
            )
        session.execute(
            """
            update warehouse_staging.quarantined_readings
            set status = 'resolved', resolved_by = $2, resolved_at = clock_timestamp(), resolution_note = $3
            where id = $1::uuid and status = 'open'
            """,
            (found.id, by, note),
        )
        return _show(session, found.id)


def replay(dsn: str, quarantined_id: str, *, archive: str, mapping: Mapping | None = None) -> IngestResult:
    """Judge the file of a row again, as the meters are configured now, and load what is right.

    The whole file is judged: a register that was mended mends all of its rows. Readings that were loaded are
    unchanged by it. The file is read with `mapping`, which then takes the place of the one that it was
    ingested with, or with that one; from where it came or from `archive` (URL of the folder, one folder a
    tenant below it). It must have the bytes that the ledger names. Raises `IngestError` if it is nowhere.
    """
    with transaction(dsn, LOADER_ROLE) as session:
        row = _show(session, quarantined_id)
        job, wanted = _job(session, row)
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        path = _fetch(row, job, wanted, archive, Path(folder))
        if mapping is not None:
            job = replace(job, mapping=mapping)
        parsed = read_mapped(path, None, job.mapping)
        with transaction(dsn, LOADER_ROLE) as session:
            for content in sorted({wanted, parsed.content_hash}):
                lock_content(session, job.tenant, content)
            result = load(session, parsed, job)
    return replace(result, path=row.source_uri)


def _show(session: Session, quarantined_id: str) -> QuarantinedReading:
    try:
        wanted = str(uuid.UUID(quarantined_id))
    except ValueError as error:
        raise IngestError(
            f"{quarantined_id!r} is no id of a quarantined reading: `myproperty quarantine list` shows them"
        ) from error
    rows = session.rows(f"select {_COLUMNS} {_FROM} where q.id = $1::uuid", (wanted,))
    if not rows:
        raise IngestError(
            f"there is no quarantined reading {wanted}: `myproperty quarantine list` shows them"
        )
    return QuarantinedReading(*rows[0])


def _job(session: Session, row: QuarantinedReading) -> tuple[Job, str]:
    """The job that quarantined a row, to be taken up again, and the hash of its file."""
    tenant, content, declared = session.rows(
        "select tenant_id::text, content_hash, mapping::text from myproperty.ingestion_jobs "
        "where id = $1::uuid",
        (row.job_id,),
    )[0]
    mapping = parse_mapping(json.loads(declared), f"ingestion job {row.job_id}") if declared else None
    owner = Tenant(uuid.UUID(tenant), row.tenant)
    now = datetime.datetime.now(datetime.UTC)
    return Job(uuid.UUID(row.job_id), owner, row.source_uri, now, is_known=True, mapping=mapping), content


def _fetch(row: QuarantinedReading, job: Job, wanted: str, archive: str, folder: Path) -> Path:
    """A local copy of the file that has the hash `wanted`, from the first place that has it."""
    name = PurePosixPath(row.source_uri).name
    folders = [f"{archive.rstrip('/')}/{tenant}" for tenant in (row.tenant, str(job.tenant.id))]
    # A file whose name was taken in the archive has a folder of its own there.
    archived = [f"{folder}/{name}" for folder in folders]
    places = [row.source_uri, *archived, *(f"{folder}/{wanted[:12]}/{name}" for folder in folders)]
    for place in places:
        filesystem, path = fsspec.core.url_to_fs(place)
        if filesystem.isfile(path):
            local = folder / name
            filesystem.get_file(path, str(local))
            if load_identity(content_hash(local), job.mapping) == wanted:
                return local
    raise IngestError(
        f"the file of quarantined reading {row.id} is in none of {', '.join(places)} with the content that "
        "was ingested: put it back there, then replay"
    )
