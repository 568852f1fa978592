"""The ingestion ledger: which file was loaded or refused, by which job, and which dates it touched.

Here: `ingestion_jobs`, `ingestion_job_dates` and `invalid_files`. Not here: the steps of a load (`load`), or
quarantined rows (`quarantined_rows`).
"""

import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping, write_canonical_text
from data.ingest.formats.mapping import FileMapping
from data.ingest.readings.results import IngestResult
from data.ingest.rules.energy import EnergyBalance
from data.ingest.schema import FileInParts
from myproperty.database.ids import uuid7
from myproperty.database.locks import lock_file
from myproperty.database.session import Session
from myproperty.tenants import Tenant


@dataclass(frozen=True)
class Job:
    """One load of one file for one tenant; `is_known` if the ledger has it and its file is judged again.

    `mapping` is the mapping that the file is read with, if any.
    """

    id: uuid.UUID
    tenant: Tenant
    source_uri: str
    started_at: datetime.datetime
    is_known: bool = False
    mapping: FileMapping | None = None


def start_job(tenant: Tenant, source_uri: str, mapping: FileMapping | None = None) -> Job:
    """Return a new job that starts now; `insert_job` writes it."""
    return Job(uuid7(), tenant, source_uri, datetime.datetime.now(datetime.UTC), mapping=mapping)


def lock_content(session: Session, tenant: Tenant, content: str) -> None:
    """Let one transaction load this content: a second one waits, and then finds the job of the first."""
    lock_file(session, tenant.id, content)


def find_loaded_job(session: Session, tenant: Tenant, content: str) -> uuid.UUID | None:
    """Return the id of the job that loaded this content for this tenant."""
    rows = session.rows(
        """
        select id::text from myproperty.ingestion_jobs
        where tenant_id = $1::uuid and content_hash = $2 and status = 'loaded'
        """,
        (str(tenant.id), content),
    )
    return uuid.UUID(rows[0][0]) if rows else None


def resume_job(session: Session, job_id: uuid.UUID | str, tenant: str, source_uri: str) -> tuple[Job, str]:
    """Return (a known job that starts again now, the content hash of its file). `tenant` is its name."""
    tenant_id, content, declared = session.rows(
        "select tenant_id::text, content_hash, mapping::text from myproperty.ingestion_jobs "
        "where id = $1::uuid",
        (str(job_id),),
    )[0]
    mapping = parse_mapping(json.loads(declared), f"ingestion job {job_id}") if declared else None
    job = start_job(Tenant(uuid.UUID(tenant_id), tenant), source_uri, mapping)
    return replace(job, id=uuid.UUID(str(job_id)), is_known=True), content


def read_unchanged_result(
    session: Session, job: Job, known: uuid.UUID, path: str, content: str
) -> IngestResult:
    """Return the result of a file whose content the job `known` loaded before."""
    format, readings, quarantined = session.rows(
        """
        select format, accepted + unchanged + new_versions + superseded, quarantined
        from myproperty.ingestion_jobs where tenant_id = $1::uuid and id = $2::uuid
        """,
        (str(job.tenant.id), str(known)),
    )[0]
    return IngestResult(
        path=path,
        tenant=job.tenant.name,
        tenant_id=str(job.tenant.id),
        status="unchanged",
        job_id=str(known),
        format=format,
        content_hash=content,
        unchanged=readings,
        quarantined=quarantined,
    )


def insert_job(session: Session, job: Job, parsed: FileInParts) -> None:
    """Insert the job before the rows that refer to it; `finish_job` adds its result."""
    version = parsed.source_version
    session.execute(
        """
        insert into myproperty.ingestion_jobs (
            id, tenant_id, source_uri, content_hash, format, status, source_version, started_at
        )
        values ($1::uuid, $2::uuid, $3, $4, $5, 'loaded', nullif($6, '')::timestamptz, $7::timestamptz)
        """,
        (
            str(job.id),
            str(job.tenant.id),
            job.source_uri,
            parsed.content_hash,
            parsed.format,
            version.isoformat() if version else "",
            job.started_at.isoformat(),
        ),
    )


def insert_job_dates(session: Session, job: Job, touched: Mapping[datetime.date, int]) -> None:
    """Insert the number of readings that the job changed on each date, or add to it."""
    dates = sorted(touched)
    session.execute(
        """
        insert into myproperty.ingestion_job_dates (tenant_id, ingestion_job_id, reading_date, readings)
        select $1::uuid, $2::uuid, reading_date, readings
        from unnest($3::date[], $4::bigint[]) as touched (reading_date, readings)
        on conflict (tenant_id, ingestion_job_id, reading_date) do update
        set readings = ingestion_job_dates.readings + excluded.readings, touched_at = clock_timestamp()
        """,
        (str(job.tenant.id), str(job.id), dates, [touched[date] for date in dates]),
    )


def finish_job(session: Session, job: Job, result: IngestResult) -> None:
    """Write the result of a job. If its file was judged again, accepted readings are added to the counts.

    A job whose file was read with a corrected mapping takes on the new content hash, unless another job has
    loaded that content.
    """
    balance = result.energy or EnergyBalance()
    session.execute(
        """
        update myproperty.ingestion_jobs as j
        set accepted = accepted + $3, new_versions = new_versions + $4, quarantined = $5,
            superseded = superseded + $12,
            unchanged = case when finished_at is null then $6 else unchanged end,
            energy_in_kwh = $7::numeric, energy_accepted_kwh = $8::numeric,
            energy_quarantined_kwh = $9::numeric, mapping = nullif($10, '')::jsonb,
            finished_at = clock_timestamp(),
            content_hash = case
                when exists (
                    select from myproperty.ingestion_jobs as o
                    where o.tenant_id = j.tenant_id and o.id <> j.id and o.content_hash = $11
                      and o.status = 'loaded'
                ) then j.content_hash
                else $11
            end
        where tenant_id = $1::uuid and id = $2::uuid
        """,
        (
            result.tenant_id,
            result.job_id,
            result.accepted,
            result.new_versions,
            result.quarantined,
            result.unchanged,
            str(balance.energy_in_kwh),
            str(balance.accepted_kwh),
            str(balance.quarantined_kwh),
            write_canonical_text(job.mapping) if job.mapping is not None else "",
            result.content_hash,
            result.superseded,
        ),
    )


def record_refusal(
    session: Session, job: Job, path: str, content: str | None, refused: RefusedFile
) -> IngestResult:
    """Insert a refused file into `invalid_files`, and its job if the file could be hashed (`content`)."""
    session.execute(
        """
        insert into warehouse_staging.invalid_files (
            tenant_id, source_uri, content_hash, rule, line, message, remedy
        )
        values ($1::uuid, $2, nullif($3, ''), $4, nullif($5, 0), $6, $7)
        """,
        (
            str(job.tenant.id),
            job.source_uri,
            content or "",
            refused.rule,
            refused.line or 0,
            refused.reason,
            refused.remedy,
        ),
    )
    if content is not None:
        session.execute(
            """
            insert into myproperty.ingestion_jobs (
                id, tenant_id, source_uri, content_hash, status, started_at, finished_at
            )
            values ($1::uuid, $2::uuid, $3, $4, 'refused', $5::timestamptz, clock_timestamp())
            """,
            (str(job.id), str(job.tenant.id), job.source_uri, content, job.started_at.isoformat()),
        )
    return IngestResult(
        path=path,
        tenant=job.tenant.name,
        tenant_id=str(job.tenant.id),
        status="refused",
        job_id=str(job.id) if content else None,
        content_hash=content,
        refusal=refused.refusal,
    )
