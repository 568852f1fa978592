"""Ingest of one meter file: read, judge, and store readings, quarantine and ledger in one transaction.

Here: the order of the steps and the ledger. Not here: formats, rules, how a reading replaces another
(`store`), or what people do with quarantined readings (`quarantine`).
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from data.ingest.errors import IngestError, RefusedFile
from data.ingest.formats import content_hash, read_parts
from data.ingest.formats.mapping import Mapping, canonical_text, load_identity, refuse_undeclared
from data.ingest.readings.adjustment_tasks import keep_tasks, wait_for_billing
from data.ingest.readings.register_reads import keep_register_reads
from data.ingest.readings.registers import configured_registers, plan_meters, series_of
from data.ingest.readings.store import Staged, archived_dates, publish, stage
from data.ingest.rules.judge import EnergyBalance, energy_balance, judge
from data.ingest.schema import READING, REJECTED, FileInParts, Judged, ParsedFile
from data.ingest.spill import Spill
from myproperty.database.ids import repeated, uuid7, uuid7s
from myproperty.database.session import Connections, Session, transaction
from myproperty.tenants import Tenant, find_tenant

LOADER_ROLE = "myproperty_loader"
Status = Literal["loaded", "unchanged", "refused", "failed"]


@dataclass(frozen=True)
class Refusal:
    """Why a file was refused whole, where, and what to do."""

    line: int | None
    rule: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class IngestResult:
    """What became of one file.

    Each reading is in one of the five counts: `accepted` (nothing was there before), `unchanged` (the same
    value was), `new_versions` (replaced an older one), `superseded` (arrived after a better one, kept in the
    history) and `quarantined`. `dates_touched` are the reading dates that changed, in order. `status` is
    unchanged where the content had been loaded before; `refusal` says why where it is refused, or where it
    failed: then nothing is kept of it, and it stays where it came from. `register_reads` are reads of a dial
    that are new or changed.
    `adjustment_tasks` are ids: each is a billing period that was allocated, whose readings changed.
    """

    path: str
    tenant: str
    tenant_id: str
    status: Status
    job_id: str | None = None
    format: str | None = None
    content_hash: str | None = None
    accepted: int = 0
    unchanged: int = 0
    new_versions: int = 0
    superseded: int = 0
    quarantined: int = 0
    register_reads: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    dates_touched: list[datetime.date] = field(default_factory=list)
    adjustment_tasks: list[str] = field(default_factory=list)
    energy: EnergyBalance | None = None
    refusal: Refusal | None = None

    def as_json(self) -> dict[str, Any]:
        """The result as JSON can hold it: dates and decimals as text."""
        document = asdict(self)
        document["dates_touched"] = [date.isoformat() for date in self.dates_touched]
        if self.energy is not None:
            document["energy"] = {name: format(value, "f") for name, value in asdict(self.energy).items()}
        return document


@dataclass(frozen=True)
class Job:
    """One load of one file for one tenant; `is_known` if the ledger has it and it is judged again.

    `mapping` is what the file is read with, if anything.
    """

    id: uuid.UUID
    tenant: Tenant
    source_uri: str
    started_at: datetime.datetime
    is_known: bool = False
    mapping: Mapping | None = None


@dataclass(frozen=True)
class Delivery:
    """A file that was read for a tenant, or refused, or is known; nothing is written of it yet."""

    path: Path
    database: str | Connections
    job: Job
    found: FileInParts | RefusedFile | IngestResult
    create_meters: str | None = None

    def load(self, *, now: datetime.datetime | None = None) -> IngestResult:
        """See `ingest_file`."""
        if isinstance(self.found, IngestResult):
            return self.found
        if isinstance(self.found, RefusedFile):
            return _refuse(self.database, self.job, self.path, self.found)
        parsed, job = self.found, self.job
        with transaction(self.database, LOADER_ROLE) as session:
            lock_content(session, job.tenant, parsed.content_hash)
            known = loaded_job(session, job.tenant, parsed.content_hash)
            if known is not None and self.create_meters is None:
                return _unchanged(session, job, known, self.path, parsed.content_hash)
            return load(
                session,
                parsed,
                job if known is None else replace(job, id=known, is_known=True),
                create_meters=self.create_meters,
                now=now,
            )


def ingest_file(
    path: Path | str,
    *,
    tenant: str,
    dsn: str,
    create_meters: str | None = None,
    format: str | None = None,
    mapping: Mapping | None = None,
    source_uri: str | None = None,
    now: datetime.datetime | None = None,
) -> IngestResult:
    """Load the readings of a file for `tenant` (id or name); all of it or nothing.

    Content that was loaded before changes nothing; the same file with another `mapping` is other content.
    With `create_meters`, the id or name of a property, meters are made for registers that nobody configured,
    and a file that was loaded without them is judged again.
    `source_uri` is what the ledger names; the absolute path by default. A refused file is a result too, kept
    in `invalid_files`. Raises `TenantError` for an unknown tenant, `IngestError` for an unknown property, and
    `DatabaseUnavailable`.
    """
    delivery = read_delivery(
        path,
        find_tenant(dsn, tenant),
        dsn,
        create_meters=create_meters,
        format=format,
        mapping=mapping,
        source_uri=source_uri,
    )
    return delivery.load(now=now)


def read_delivery(
    path: Path | str,
    tenant: Tenant,
    database: str | Connections,
    *,
    create_meters: str | None = None,
    format: str | None = None,
    mapping: Mapping | None = None,
    source_uri: str | None = None,
) -> Delivery:
    """Read a file for a tenant, unless the ledger knows its content. Raises `DatabaseUnavailable`."""
    path = Path(path)
    started_at = datetime.datetime.now(datetime.UTC)
    job = Job(uuid7(), tenant, source_uri or str(path.resolve()), started_at, mapping=mapping)
    found: FileInParts | RefusedFile | IngestResult | None = None
    try:
        digest = content_hash(path)
        if create_meters is None:
            found = _known(database, job, path, digest)
        return Delivery(
            path, database, job, found or read_mapped(path, format, mapping, digest), create_meters
        )
    except RefusedFile as refused:
        return Delivery(path, database, job, refused)


def _known(database: str | Connections, job: Job, path: Path, digest: str) -> IngestResult | None:
    """What the ledger says of a file whose content was loaded before."""
    content = load_identity(digest, job.mapping)
    with transaction(database, LOADER_ROLE) as session:
        known = loaded_job(session, job.tenant, content)
        return None if known is None else _unchanged(session, job, known, path, content)


def read_mapped(
    path: Path, format: str | None, mapping: Mapping | None, digest: str | None = None
) -> FileInParts:
    """A file as it may be loaded: nothing that it leaves out is guessed. Raises `RefusedFile`.

    Its `content_hash` is that of the file (its `digest`) and the mapping, where there is one.
    """
    parsed = read_parts(path, format, mapping, digest=digest)
    refuse_undeclared(parsed, mapping)
    return replace(parsed, content_hash=load_identity(parsed.content_hash, mapping))


def load(
    session: Session,
    parsed: FileInParts,
    job: Job,
    *,
    create_meters: str | None = None,
    now: datetime.datetime | None = None,
) -> IngestResult:
    """Judge and store a file that was read, in the transaction of `session`.

    Where the job is in the ledger already, what was quarantined and is right by now is loaded, and
    its rows of the quarantine become `replayed`.
    """
    wait_for_billing(session, job.tenant.id)
    registers = configured_registers(session, job.tenant.id)
    plan = None
    if create_meters is not None:
        _lock(session, f"meters of {job.tenant.id}")
        registers = configured_registers(session, job.tenant.id)
        series = series_of(part.readings for part in parsed.parts())
        plan = plan_meters(session, job.tenant.id, create_meters, series, registers)
        registers = plan.extend(registers)
    now = now or datetime.datetime.now(datetime.UTC)
    archived = archived_dates(session)
    verdict = Verdict()
    for part in parsed.parts():
        verdict.add(part, judge(part, registers, now=now, archived=archived))
    staged = stage(session, verdict.readings.tables(), job.tenant.id, job.id)
    if staged.needs_ledger_lock:
        session.execute("select myproperty.lock_ledger()")
    if plan is not None:
        plan.write(session, job.tenant.id)
    if not job.is_known:
        _insert_job(session, job, parsed)
    publish(session, staged, job.id)
    result = _result(parsed, verdict, staged, job)
    reads = keep_register_reads(session, parsed.register_reads, registers, job.tenant.id, job.id)
    tasks = keep_tasks(session, staged, job.tenant.id, job.id)
    _insert_dates(session, job, staged)
    quarantined = (_quarantine_rows(rows, job) for rows in verdict.quarantined.tables())
    if job.is_known:
        _close_quarantine(session, job, quarantined)
    else:
        session.copy(quarantined, "quarantined_readings", "warehouse_staging")
    _finish_job(session, job, result)
    return replace(result, register_reads=reads, adjustment_tasks=tasks)


def loaded_job(session: Session, tenant: Tenant, content: str) -> uuid.UUID | None:
    """The job that loaded this content for this tenant."""
    rows = session.rows(
        """
        select id::text from myproperty.ingestion_jobs
        where tenant_id = $1::uuid and content_hash = $2 and status = 'loaded'
        """,
        (str(tenant.id), content),
    )
    return uuid.UUID(rows[0][0]) if rows else None


def lock_content(session: Session, tenant: Tenant, content: str) -> None:
    """The same file from two processes: the second waits here and then finds the job of the first."""
    _lock(session, f"file {content} of {tenant.id}")


def _lock(session: Session, what: str) -> None:
    session.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", (what,))


class Verdict:
    """What was judged of a file so far: readings by date, and what is turned away."""

    def __init__(self) -> None:
        self.readings = Spill(READING)
        self.quarantined = Spill(REJECTED)
        self.rules: Counter[str] = Counter()
        self.energy = EnergyBalance()

    def add(self, part: ParsedFile, judged: Judged) -> None:
        """Take the next part of the file. Raises `IngestError` where a row of it has vanished."""
        came = part.readings.num_rows + part.rejected.num_rows
        went = judged.readings.num_rows + judged.quarantined.num_rows
        if came != went:
            raise IngestError(
                f"{part.path}: {came} rows were read and {went} judged, so nothing was written: "
                "report this with the file, it is a fault of the rules"
            )
        self.readings.add(judged.readings, judged.readings["reading_date"].cast(pa.int32()).to_numpy())
        self.quarantined.add(judged.quarantined, np.zeros(judged.quarantined.num_rows, dtype=np.int64))
        self.rules.update(
            {row["values"]: row["counts"] for row in pc.value_counts(judged.quarantined["rule"]).to_pylist()}
        )
        self.energy += energy_balance(part, judged)


def _result(parsed: FileInParts, verdict: Verdict, staged: Staged, job: Job) -> IngestResult:
    outcome = staged.outcome
    return IngestResult(
        path=str(parsed.path),
        tenant=job.tenant.name,
        tenant_id=str(job.tenant.id),
        status="loaded",
        job_id=str(job.id),
        format=parsed.format,
        content_hash=parsed.content_hash,
        accepted=outcome.accepted,
        unchanged=outcome.unchanged,
        new_versions=outcome.new_versions,
        superseded=outcome.superseded,
        quarantined=verdict.quarantined.num_rows,
        rules=dict(verdict.rules),
        dates_touched=sorted(outcome.touched),
        energy=verdict.energy,
    )


def _insert_job(session: Session, job: Job, parsed: FileInParts) -> None:
    """Enter the job in the ledger, before what refers to it; `_finish_job` says what it did."""
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


def _finish_job(session: Session, job: Job, result: IngestResult) -> None:
    """Say what a job did. Judged again, what came in by it is added; quarantined is what remains.

    Read with a mended mapping it is the load of that content from now on, unless another job is.
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
            canonical_text(job.mapping) if job.mapping is not None else "",
            result.content_hash,
            result.superseded,
        ),
    )


def _insert_dates(session: Session, job: Job, staged: Staged) -> None:
    for date, readings in sorted(staged.outcome.touched.items()):
        session.execute(
            """
            insert into myproperty.ingestion_job_dates (tenant_id, ingestion_job_id, reading_date, readings)
            values ($1::uuid, $2::uuid, $3::date, $4)
            on conflict (tenant_id, ingestion_job_id, reading_date) do update
            set readings = ingestion_job_dates.readings + excluded.readings, touched_at = clock_timestamp()
            """,
            (str(job.tenant.id), str(job.id), date.isoformat(), readings),
        )


# By this a row is the same when its file is judged again.
_SAME_ROW = sql.SQL(
    """
    a.line = b.line and a.rule = b.rule
    and (coalesce(a.identifier, ''), coalesce(a.register, ''), coalesce(a.reading_ts, '-infinity'))
    = (coalesce(b.identifier, ''), coalesce(b.register, ''), coalesce(b.reading_ts, '-infinity'))
    """
)
_REPLAYED = sql.SQL(
    """
    update warehouse_staging.quarantined_readings as b
    set status = 'replayed', resolved_at = clock_timestamp()
    where b.tenant_id = $1::uuid and b.ingestion_job_id = $2::uuid and b.status = 'open'
      and not exists (select from pg_temp.still_wrong as a where {same_row})
    """
).format(same_row=_SAME_ROW)
_NEWLY_WRONG = sql.SQL(
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


def _close_quarantine(session: Session, job: Job, still_wrong: Iterator[pa.Table]) -> None:
    """Mark as replayed what is wrong no more, and add what is wrong and not in the quarantine."""
    session.execute(
        "create temporary table still_wrong (like warehouse_staging.quarantined_readings including defaults) "
        "on commit drop"
    )
    session.copy(still_wrong, "still_wrong")
    session.execute("analyze pg_temp.still_wrong")
    for statement in (_REPLAYED, _NEWLY_WRONG):
        session.execute(statement, (str(job.tenant.id), str(job.id)))


def _quarantine_rows(quarantined: pa.Table, job: Job) -> pa.Table:
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


def _unchanged(session: Session, job: Job, known: uuid.UUID, path: Path, content: str) -> IngestResult:
    format, readings, quarantined = session.rows(
        """
        select format, accepted + unchanged + new_versions + superseded, quarantined
        from myproperty.ingestion_jobs where tenant_id = $1::uuid and id = $2::uuid
        """,
        (str(job.tenant.id), str(known)),
    )[0]
    return IngestResult(
        path=str(path),
        tenant=job.tenant.name,
        tenant_id=str(job.tenant.id),
        status="unchanged",
        job_id=str(known),
        format=format,
        content_hash=content,
        unchanged=readings,
        quarantined=quarantined,
    )


def _refuse(database: str | Connections, job: Job, path: Path, refused: RefusedFile) -> IngestResult:
    """Keep the refusal where people look for it; nothing else of the file is written."""
    hashed = content_hash(path) if path.is_file() else None
    with transaction(database, LOADER_ROLE) as session:
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
                hashed or "",
                refused.rule,
                refused.line or 0,
                refused.reason,
                refused.remedy,
            ),
        )
        if hashed is not None:
            session.execute(
                """
                insert into myproperty.ingestion_jobs (
                    id, tenant_id, source_uri, content_hash, status, started_at, finished_at
                )
                values ($1::uuid, $2::uuid, $3, $4, 'refused', $5::timestamptz, clock_timestamp())
                """,
                (
                    str(job.id),
                    str(job.tenant.id),
                    job.source_uri,
                    hashed,
                    job.started_at.isoformat(),
                ),
            )
    return IngestResult(
        path=str(path),
        tenant=job.tenant.name,
        tenant_id=str(job.tenant.id),
        status="refused",
        job_id=str(job.id) if hashed else None,
        content_hash=hashed,
        refusal=Refusal(refused.line, refused.rule, refused.reason, refused.remedy),
    )
