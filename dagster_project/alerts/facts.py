"""Read what messages say: silent senders, the dates of a run, and the facts of the daily digest."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from dagster_project.alerts.messages import DigestFacts, OldBackup, RefusedFiles, SilentSender
from dagster_project.alerts.outbox import Outbox
from dagster_project.partitions import dates_of_tags
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction
from myproperty.engines.backups import read_backup_times
from myproperty.settings import Settings

# An estimate is loaded by a job of its own: it is no file of a sender.
_SENDERS = """
select j.tenant_id::text, j.format, max(j.started_at)
from myproperty.ingestion_jobs as j
inner join myproperty.tenants as t on t.id = j.tenant_id and t.status = 'active'
where j.status = 'loaded' and j.format is not null and j.format <> 'estimation'
group by 1, 2 having max(j.started_at) < $1
order by 1, 2
"""
_REFUSED = """
select tenant_id::text, jsonb_object_agg(rule, files order by rule), max(last_at)
from (
    select tenant_id, rule, count(*) as files, max(received_at) as last_at
    from warehouse_staging.invalid_files where received_at > $1 and received_at <= $2 group by 1, 2
) as refused
group by 1 order by 1
"""
_RULES = """
select broken ->> 'rule', count(*) from warehouse_staging.gate_results,
    jsonb_array_elements(failed) as broken
where checked_at >= $1 group by 1
"""
_QUARANTINED = """
select rule, count(*) from warehouse_staging.quarantined_readings where status = 'open' group by 1
"""


def read_silent_senders(dsn: str, hours: int, now: datetime) -> list[SilentSender]:
    """Return the senders whose last loaded file is older than `hours`. Raises `PlatformError`."""
    with transaction(dsn, ETL_ROLE) as session:
        rows = session.rows(_SENDERS, [now - timedelta(hours=hours)])
    return [SilentSender(tenant, format, last_at) for tenant, format, last_at in rows]


def read_refused_files(dsn: str, after: datetime, until: datetime) -> list[RefusedFiles]:
    """Return the files refused after one instant until the other, by tenant. Raises `PlatformError`."""
    with transaction(dsn, ETL_ROLE) as session:
        rows = session.rows(_REFUSED, [after, until])
    return [RefusedFiles(tenant, rules, last_at) for tenant, rules, last_at in rows]


def read_old_backups(settings: Settings, now: datetime) -> list[OldBackup]:
    """Return the places whose newest base backup is older than the limit. Raises `PlatformError`."""
    found = read_backup_times(settings)
    if found is None:
        return []
    newest = {"folder": found.backup_at}
    if found.has_copies:
        newest["bucket"] = found.copied.backup_at if found.copied else None
    limit = now - timedelta(hours=settings.alert_backup_hours)
    old = (OldBackup(place, at or found.began_at, at) for place, at in newest.items())
    return [each for each in old if each.since < limit]


def read_digest(
    dsn: str, instance: dg.DagsterInstance, outbox: Outbox, hours: int, now: datetime
) -> DigestFacts:
    """Read the facts of the daily digest. Raises `PlatformError`."""
    from data.landing.published_dates import pending_dates

    since = now - timedelta(days=1)
    with transaction(dsn, ETL_ROLE) as session:
        rules = session.rows(_RULES, [since])
        quarantined = session.rows(_QUARANTINED)
    runs = instance.get_runs(dg.RunsFilter(created_after=since))
    return DigestFacts(
        runs=dict(Counter(f"{run.job_name} {run.status.value.lower()}" for run in runs)),
        rules=dict(rules),
        quarantined=dict(quarantined),
        pending=pending_dates(dsn),
        silent=read_silent_senders(dsn, hours, now),
        open_causes=[cause["title"] for cause in outbox.open_causes()],
    )


def dates_of_run(run: dg.DagsterRun) -> list[date]:
    """Return the reading dates of a run; none if it has no partitions."""
    window = dates_of_tags(run.tags)
    return window.dates if window else []


def utc_now() -> datetime:
    """Return the instant of now."""
    return datetime.now(UTC)
