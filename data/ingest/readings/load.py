"""Ingest of one meter file: read it, judge it, and store all of it in one transaction.

Here: the order of the steps. Not here: formats, rules, the ledger (`ledger`), how a reading replaces another
(`store`), quarantined rows (`quarantined_rows`), or what people do with them (`quarantine`).
"""

import datetime
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import IngestError, RefusedFile
from data.ingest.formats.container import hash_file
from data.ingest.formats.file_mappings import identify_load, refuse_undeclared
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.reading import read_parts
from data.ingest.readings.adjustment_tasks import open_adjustment_tasks, wait_for_billing
from data.ingest.readings.ledger import (
    Job,
    find_loaded_job,
    finish_job,
    insert_job,
    insert_job_dates,
    lock_content,
    read_unchanged_result,
    record_refusal,
    start_job,
)
from data.ingest.readings.quarantined_rows import write_quarantined
from data.ingest.readings.register_reads import store_register_reads
from data.ingest.readings.registers import (
    MAX_NEW_METERS,
    NewMeters,
    describe_new_meters,
    find_kept_sums,
    list_series,
    read_registers,
    refuse_many_meters,
    refuse_unknown_meters,
)
from data.ingest.readings.results import IngestResult
from data.ingest.readings.store import Staged, read_archived_dates, stage_readings, write_staged
from data.ingest.rules.energy import EnergyBalance, energy_balance
from data.ingest.rules.judge import index_registers, judge
from data.ingest.schema import READING, REJECTED, FileInParts, Judged, ParsedFile
from data.ingest.spill import Spill
from myproperty.database.locks import lock_meters
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Connections, Session, transaction
from myproperty.tenants import Tenant, find_tenant


@dataclass(frozen=True)
class ReadFile:
    """A file that was read for a tenant and not yet written.

    `found` is its content, or the reason to refuse it, or the result if the ledger knows its content.
    """

    path: Path
    database: str | Connections
    job: Job
    found: FileInParts | RefusedFile | IngestResult
    create_meters: str | None = None
    max_new_meters: int = MAX_NEW_METERS

    def load(self, *, now: datetime.datetime | None = None) -> IngestResult:
        """Write the file, see `ingest_file`."""
        if isinstance(self.found, IngestResult):
            return self.found
        if isinstance(self.found, RefusedFile):
            return self._refuse(self.found)
        try:
            return self._write(self.found, now)
        except RefusedFile as refused:
            return self._refuse(refused)

    def rehearse(self, *, now: datetime.datetime | None = None) -> IngestResult:
        """Return the result of writing the file now, and write nothing."""
        if isinstance(self.found, IngestResult):
            return self.found
        try:
            if isinstance(self.found, RefusedFile):
                raise self.found
            with transaction(self.database, LOADER_ROLE) as session:
                result = self._write_in(session, self.found, now)
                session.roll_back()
        except RefusedFile as refused:
            tenant = self.job.tenant
            return IngestResult(
                path=str(self.path),
                tenant=tenant.name,
                tenant_id=str(tenant.id),
                status="refused",
                format=refused.format,
                refusal=refused.refusal,
            )
        return result

    def _write(self, parsed: FileInParts, now: datetime.datetime | None) -> IngestResult:
        with transaction(self.database, LOADER_ROLE) as session:
            return self._write_in(session, parsed, now)

    def _write_in(self, session: Session, parsed: FileInParts, now: datetime.datetime | None) -> IngestResult:
        job = self.job
        lock_content(session, job.tenant, parsed.content_hash)
        known = find_loaded_job(session, job.tenant, parsed.content_hash)
        if known is not None and self.create_meters is None:
            return read_unchanged_result(session, job, known, str(self.path), parsed.content_hash)
        return load(
            session,
            parsed,
            job if known is None else replace(job, id=known, is_known=True),
            create_meters=self.create_meters,
            max_new_meters=self.max_new_meters,
            now=now,
        )

    def _refuse(self, refused: RefusedFile) -> IngestResult:
        """Record the refusal; nothing else of the file is written."""
        content = hash_file(self.path) if self.path.is_file() else None
        with transaction(self.database, LOADER_ROLE) as session:
            return record_refusal(session, self.job, str(self.path), content, refused)


class JudgedFile:
    """The judged rows of a file so far: readings by date, and quarantined rows."""

    def __init__(self) -> None:
        self.readings = Spill(READING)
        self.quarantined = Spill(REJECTED)
        self.rules: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.energy = EnergyBalance()

    def add(self, part: ParsedFile, judged: Judged) -> None:
        """Add the next part of the file. Raises `IngestError` if a row of it has vanished."""
        came = part.readings.num_rows + part.rejected.num_rows
        went = judged.readings.num_rows + judged.quarantined.num_rows
        if came != went:
            raise IngestError(
                f"{part.path}: {came} rows were read and {went} judged, so nothing was written: "
                "report this with the file, it is a fault of the rules"
            )
        self.skipped += part.skipped
        self.readings.add(judged.readings, judged.readings["reading_date"].cast(pa.int32()).to_numpy())
        self.quarantined.add(judged.quarantined, np.zeros(judged.quarantined.num_rows, dtype=np.int64))
        self.rules.update(
            {row["values"]: row["counts"] for row in pc.value_counts(judged.quarantined["rule"]).to_pylist()}
        )
        self.energy += energy_balance(part, judged)


def ingest_file(
    path: Path | str,
    *,
    tenant: str,
    dsn: str,
    create_meters: str | None = None,
    max_new_meters: int = MAX_NEW_METERS,
    format: str | None = None,
    mapping: FileMapping | None = None,
    source_uri: str | None = None,
    now: datetime.datetime | None = None,
) -> IngestResult:
    """Load the readings of a file for `tenant` (id or name); all of it or nothing.

    Content that was loaded before changes nothing; the same file with another `mapping` is other content.
    With `create_meters`, the id or name of a property, up to `max_new_meters` meters are made for unknown
    registers, and a file that was loaded without them is judged again. The ledger names the file by
    `source_uri`, by default by its absolute path. A refused file has a result too, and is recorded in
    `invalid_files`. Raises `TenantError` for an unknown tenant, `IngestError` for an unknown property, and
    `DatabaseUnavailable`.
    """
    read = read_file_for(
        path,
        find_tenant(dsn, tenant),
        dsn,
        create_meters=create_meters,
        max_new_meters=max_new_meters,
        format=format,
        mapping=mapping,
        source_uri=source_uri,
    )
    return read.load(now=now)


def read_file_for(
    path: Path | str,
    tenant: Tenant,
    database: str | Connections,
    *,
    create_meters: str | None = None,
    max_new_meters: int = MAX_NEW_METERS,
    format: str | None = None,
    mapping: FileMapping | None = None,
    source_uri: str | None = None,
) -> ReadFile:
    """Read a file for a tenant, unless the ledger knows its content. Raises `DatabaseUnavailable`."""
    path = Path(path)
    job = start_job(tenant, source_uri or str(path.resolve()), mapping)
    found: FileInParts | RefusedFile | IngestResult | None = None
    try:
        digest = hash_file(path)
        if create_meters is None:
            found = _find_known_result(database, job, path, digest)
        found = found or read_mapped(path, format, mapping, digest)
        return ReadFile(path, database, job, found, create_meters, max_new_meters)
    except RefusedFile as refused:
        return ReadFile(path, database, job, refused)


def _find_known_result(database: str | Connections, job: Job, path: Path, digest: str) -> IngestResult | None:
    """Return the result of a file whose content was loaded before."""
    content = identify_load(digest, job.mapping)
    with transaction(database, LOADER_ROLE) as session:
        known = find_loaded_job(session, job.tenant, content)
        return None if known is None else read_unchanged_result(session, job, known, str(path), content)


def read_mapped(
    path: Path, format: str | None, mapping: FileMapping | None, digest: str | None = None
) -> FileInParts:
    """Read a file, with the mapping that declares what the file leaves out. Raises `RefusedFile`.

    The `content_hash` of the result identifies the bytes of the file (`digest`) together with the mapping.
    """
    parsed = read_parts(path, format, mapping, digest=digest)
    refuse_undeclared(parsed, mapping)
    return replace(parsed, content_hash=identify_load(parsed.content_hash, mapping))


def load(
    session: Session,
    parsed: FileInParts,
    job: Job,
    *,
    create_meters: str | None = None,
    max_new_meters: int = MAX_NEW_METERS,
    now: datetime.datetime | None = None,
) -> IngestResult:
    """Judge and store a file that was read, in the transaction of `session`.

    If the job is in the ledger already, quarantined readings that are right by now are loaded, and their rows
    of the quarantine become `replayed`.
    """
    wait_for_billing(session, job.tenant.id)
    registers = read_registers(session, job.tenant.id, parsed)
    new_meters = None
    if create_meters is not None:
        new_meters, registers = _add_new_meters(session, parsed, job, create_meters)
        refuse_many_meters(parsed, new_meters, max_new_meters)
    refuse_unknown_meters(parsed, registers)
    judged = _judge_parts(session, parsed, registers, now or datetime.datetime.now(datetime.UTC))
    staged = stage_readings(session, judged.readings.tables(), job.tenant.id, job.id)
    if staged.needs_ledger_lock:
        session.execute("select myproperty.lock_ledger()")
    if new_meters is not None:
        new_meters.write(session, job.tenant.id)
    if not job.is_known:
        insert_job(session, job, parsed)
    write_staged(session, staged, job.id)
    result = _result(parsed, judged, staged, job)
    reads = store_register_reads(session, parsed.register_reads, registers, job.tenant.id, job.id)
    tasks = open_adjustment_tasks(session, staged, job.tenant.id, job.id)
    with session.keys_by_index():
        insert_job_dates(session, job, staged.outcome.touched)
        write_quarantined(session, judged.quarantined.tables(), job)
    finish_job(session, job, result)
    return replace(result, register_reads=reads, adjustment_tasks=tasks)


def _add_new_meters(
    session: Session, parsed: FileInParts, job: Job, wanted: str
) -> tuple[NewMeters, pa.Table]:
    """Return the meters that the file needs at the property `wanted`, and the registers with theirs."""
    lock_meters(session, job.tenant.id)
    registers = read_registers(session, job.tenant.id, parsed)
    others = registers.filter(pc.equal(registers["channel"], "other"))
    counted = find_kept_sums(parsed.sums, registers) - find_kept_sums(parsed.sums, others)
    parts_of_kept = {(one[0], part) for one in counted for part in parsed.sums[one]}
    series = [
        one
        for one in list_series(part.readings for part in parsed.parts())
        if (one["identifier"], one["register"]) not in parts_of_kept
    ]
    new_meters = describe_new_meters(session, job.tenant.id, wanted, series, registers)
    return new_meters, new_meters.extend(registers)


def _judge_parts(
    session: Session, parsed: FileInParts, registers: pa.Table, now: datetime.datetime
) -> JudgedFile:
    archived = read_archived_dates(session)
    row_of = index_registers(registers)
    judged = JudgedFile()
    for part in parsed.parts(find_kept_sums(parsed.sums, registers)):
        judged.add(part, judge(part, registers, now=now, archived=archived, row_of=row_of))
    return judged


def _result(parsed: FileInParts, judged: JudgedFile, staged: Staged, job: Job) -> IngestResult:
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
        quarantined=judged.quarantined.num_rows,
        rules=dict(judged.rules),
        skipped=dict(+judged.skipped),
        dates_touched=sorted(outcome.touched),
        energy=judged.energy,
    )
