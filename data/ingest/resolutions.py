"""Close many quarantined rows or issues at once: by rule, by file, by job of the ledger.

Here: which open rows a person means, how many they are, and closing them. Not here: closing one row by its id
(`readings.quarantine`, `validation.issues`).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from data.ingest.errors import IngestError
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import transaction
from myproperty.tenants import find_tenant

# Rows closed by one transaction: it holds their locks for about a tenth of a second.
ROWS_PER_TRANSACTION = 5000
_OF_FILE = "(j.source_uri = $3 or right(j.source_uri, length($3) + 1) = '/' || $3)"


@dataclass(frozen=True)
class Target:
    """A table with open rows that a person may close. `of_job` joins a row to the jobs `j` it comes from.

    A person may not close rows for which `left_out` is true.
    """

    table: str
    of_job: str
    left_out: str = "false"


QUARANTINE = Target(
    "warehouse_staging.quarantined_readings", "j.tenant_id = o.tenant_id and j.id = o.ingestion_job_id"
)
# An issue comes from the jobs whose readings its meter has on its date.
ISSUES = Target(
    "myproperty.reading_issues",
    "j.tenant_id = o.tenant_id and exists ("
    "select from myproperty.meter_readings as r where r.tenant_id = o.tenant_id and r.meter_id = o.meter_id "
    "and r.reading_date = o.reading_date and r.ingestion_job_id = j.id)",
    # It is accepted for a time (`validation.acceptances`), so that the marts show it beside the figures.
    "o.severity = 'severe'",
)


@dataclass(frozen=True)
class Selection:
    """The open rows that a person means: all that agree with each given field.

    `tenant` is a name or id, `file` the name or address of a meter file, `job` the id of an ingestion job.
    """

    tenant: str | None = None
    rule: str | None = None
    file: str | None = None
    job: str | None = None

    def as_parameters(self, dsn: str) -> tuple[str, str, str, str]:
        """Return the parameters $1 to $4. Raises `IngestError` if nothing, or no valid job, is selected."""
        if not (self.rule or self.file or self.job):
            raise IngestError("nothing is selected: give an ID, or at least one of --rule, --file and --job")
        owner = str(find_tenant(dsn, self.tenant).id) if self.tenant is not None else ""
        try:
            job = str(uuid.UUID(self.job)) if self.job else ""
        except ValueError as error:
            raise IngestError(f"{self.job!r} is not the id of an ingestion job") from error
        return owner, self.rule or "", self.file or "", job


def count_selected(dsn: str, target: Target, selection: Selection) -> list[dict[str, str | int]]:
    """Count the open rows of a selection by tenant and rule, the largest number first."""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            # The text is put together from constants of this module; what people give is a parameter.
            f"select t.name, o.rule, count(*) from {target.table} as o "  # noqa: S608
            "join myproperty.tenants as t on t.id = o.tenant_id "
            f"where {_is_selected(target)} group by t.name, o.rule order by count(*) desc, t.name, o.rule",
            selection.as_parameters(dsn),
        )
    return [dict(zip(("tenant", "rule", "rows"), row, strict=True)) for row in rows]


def count_left_out(dsn: str, target: Target, selection: Selection) -> int:
    """Count the open rows of a selection that only another decision closes."""
    with transaction(dsn, LOADER_ROLE) as session:
        query = f"select count(*) from {target.table} as o where {_is_selected(target, target.left_out)}"  # noqa: S608
        [(count,)] = session.rows(query, selection.as_parameters(dsn))
    return int(count)


def resolve_selected(
    dsn: str,
    target: Target,
    selection: Selection,
    *,
    by: str,
    note: str,
    progress: Callable[[int], None] = lambda closed: None,
) -> int:
    """Close the open rows of a selection and return their number; each row keeps who decided and why.

    One transaction closes `ROWS_PER_TRANSACTION` rows. After an interruption, the same call closes the rest.
    Raises `IngestError` if nothing is selected, or if name or note is missing.
    """
    if not by.strip() or not note.strip():
        raise IngestError("a resolution names who decided and why: give both, no other record says so")
    parameters = selection.as_parameters(dsn)
    closed = 0
    while True:
        with transaction(dsn, LOADER_ROLE) as session:
            rows = session.rows(
                f"update {target.table} set status = 'resolved', resolved_by = $5, "  # noqa: S608
                "resolved_at = clock_timestamp(), resolution_note = $6 "
                f"where id in (select o.id from {target.table} as o where {_is_selected(target)} "
                f"order by o.id limit {ROWS_PER_TRANSACTION} for update) returning 1",
                (*parameters, by, note),
            )
        closed += len(rows)
        progress(closed)
        if len(rows) < ROWS_PER_TRANSACTION:
            return closed


def _is_selected(target: Target, condition: str | None = None) -> str:
    condition = condition or f"not ({target.left_out})"
    return (
        f"o.status = 'open' and {condition} "
        "and ($1 = '' or o.tenant_id::text = $1) and ($2 = '' or o.rule = $2) "
        "and (($3 = '' and $4 = '') or exists (select from myproperty.ingestion_jobs as j "
        f"where {target.of_job} and ($4 = '' or j.id::text = $4) and ($3 = '' or {_OF_FILE})))"
    )
