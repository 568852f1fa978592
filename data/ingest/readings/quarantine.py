"""The quarantine as people use it: list, show, resolve and replay quarantined readings.

Not here: why a reading is quarantined (`rules`), or how a load writes its rows (`quarantined_rows`).
"""

import contextlib
import datetime
import uuid
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from data.ingest.errors import IngestError
from data.ingest.formats.container import hash_file
from data.ingest.formats.file_mappings import identify_load
from data.ingest.formats.mapping import FileMapping
from data.ingest.readings.ledger import Job, lock_content, resume_job
from data.ingest.readings.load import load, read_mapped
from data.ingest.readings.own_files import open_inbox
from data.ingest.readings.results import IngestResult
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Session, transaction
from myproperty.files import UnsafeFile, temporary_folder
from myproperty.tenants import find_tenant

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
    """One quarantined row, with its text in the file and its resolution."""

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


def list_quarantined(
    dsn: str, *, tenant: str | None = None, status: str | None = "open", limit: int = 100
) -> list[QuarantinedReading]:
    """Return quarantined rows, the newest first, of one tenant (id or name) or all, of one status or all."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            f"select {_COLUMNS} {_FROM} "
            "where ($1 = '' or q.tenant_id::text = $1) and ($2 = '' or q.status = $2) "
            "order by q.id desc limit $3",
            (owner, status or "", limit),
        )
    return [QuarantinedReading(*row) for row in rows]


def count_quarantined(dsn: str, tenant: str | None = None) -> list[dict[str, str | int]]:
    """Count the quarantined rows of one tenant, or of each, by rule and status, with an example."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            f"select t.name, q.rule, q.status, count(*), min(q.reason) {_FROM} "
            "where ($1 = '' or q.tenant_id::text = $1) "
            "group by t.name, q.rule, q.status order by t.name, q.rule, q.status",
            (owner,),
        )
    return [dict(zip(("tenant", "rule", "status", "rows", "for example"), row, strict=True)) for row in rows]


def show_quarantined(dsn: str, quarantined_id: str) -> QuarantinedReading:
    """Return one row. Raises `IngestError` for an unknown id."""
    with transaction(dsn, LOADER_ROLE) as session:
        return _read_row(session, quarantined_id)


def resolve_quarantined(dsn: str, quarantined_id: str, *, by: str, note: str) -> QuarantinedReading:
    """Close a row for good, so that it is never loaded: `by` is the person who decided, `note` the reason.

    Raises `IngestError` if the row does not exist or is closed already, or if name or note is missing.
    """
    if not by.strip() or not note.strip():
        raise IngestError("a resolution names who decided and why: give both, no other record says so")
    with transaction(dsn, LOADER_ROLE) as session:
        found = _read_row(session, quarantined_id)
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
        return _read_row(session, found.id)


def replay_quarantined(
    dsn: str, quarantined_id: str, *, archive: str, mapping: FileMapping | None = None
) -> IngestResult:
    """Judge the file of a row again with the meters as configured now, and load its good readings.

    The whole file is judged, so a corrected register helps all of its rows. Readings that were loaded stay
    unchanged. The file is read with the mapping that it was ingested with, or with `mapping`, which then
    replaces the former. It is taken from its original place or from `archive` (URL of a folder, with one
    folder for each tenant), and must have the content hash of the ledger. Raises `IngestError` if it is not
    found.
    """
    with transaction(dsn, LOADER_ROLE) as session:
        row = _read_row(session, quarantined_id)
        job, wanted = resume_job(session, row.job_id, row.tenant, row.source_uri)
    with temporary_folder("replay") as folder:
        path = _fetch(row, job, wanted, archive, folder)
        if mapping is not None:
            job = replace(job, mapping=mapping)
        parsed = read_mapped(path, None, job.mapping)
        with transaction(dsn, LOADER_ROLE) as session:
            for content in sorted({wanted, parsed.content_hash}):
                lock_content(session, job.tenant, content)
            result = load(session, parsed, job)
    return replace(result, path=row.source_uri)


def _read_row(session: Session, quarantined_id: str) -> QuarantinedReading:
    try:
        wanted = str(uuid.UUID(quarantined_id))
    except ValueError as error:
        raise IngestError(
            f"{quarantined_id!r} is not the id of a quarantined reading: "
            "`myproperty quarantine list` shows them"
        ) from error
    rows = session.rows(f"select {_COLUMNS} {_FROM} where q.id = $1::uuid", (wanted,))
    if not rows:
        raise IngestError(
            f"there is no quarantined reading {wanted}: `myproperty quarantine list` shows them"
        )
    return QuarantinedReading(*rows[0])


def _fetch(row: QuarantinedReading, job: Job, wanted: str, archive: str, folder: Path) -> Path:
    """Copy the file with the content hash `wanted` to `folder`, from the first place that has it."""
    name = PurePosixPath(row.source_uri).name
    folders = [f"{archive.rstrip('/')}/{tenant}" for tenant in (row.tenant, str(job.tenant.id))]
    # A file whose name was in use in the archive has a folder of its own there.
    archived = [f"{folder}/{name}" for folder in folders]
    places = [row.source_uri, *archived, *(f"{folder}/{wanted[:12]}/{name}" for folder in folders)]
    for number, place in enumerate(places):
        # The first place may be an inbox, where the sender can have put a link since.
        filesystem, path = open_inbox(place.rpartition("/")[0])
        path, local = f"{path.rstrip('/')}/{name}", folder / f"{number}" / name
        local.parent.mkdir()
        with contextlib.suppress(UnsafeFile, FileNotFoundError, NotADirectoryError):
            filesystem.get_file(path, str(local))
            if identify_load(hash_file(local), job.mapping) == wanted:
                return local
    raise IngestError(
        f"the file of quarantined reading {row.id} is not in {', '.join(places)} with the content that was "
        "ingested: put it back, then replay"
    )
