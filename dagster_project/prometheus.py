"""Metrics of the platform for Prometheus, read from what runs have recorded.

A worker lives for one run, so nobody could ask it: its metrics would be gone before the next scrape. They are
computed from the tables that outlive it, and written to a file for node_exporter's textfile collector, or
served. A label is the id of a tenant or a word of the platform: never a name, a meter or a text of an error.

Not here: messages to people (`dagster_project.alerts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import psycopg

from dagster_project.alerts.channels import open_outbox
from dagster_project.pending import State, find_pending
from dagster_project.resources.platform import Platform
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import Session, transaction
from myproperty.engines.backups import read_backup_times
from myproperty.errors import PlatformError
from myproperty.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

ADDRESS = "127.0.0.1"


class MetricsError(PlatformError):
    """The metrics cannot be written or served; the message names the file or port and the remedy."""


@dataclass(frozen=True)
class Described:
    """Kind, labels and meaning of a metric. A counter's name has no `_total` here: its samples have."""

    kind: Literal["gauge", "counter", "summary"]
    labels: tuple[str, ...]
    meaning: str


METRICS = {
    "myproperty_database_up": Described(
        "gauge", (), "1 if the OLTP database answered. If not, the metrics that it has are missing."
    ),
    "myproperty_runs": Described("counter", ("job", "status"), "Recorded runs that have ended."),
    "myproperty_runs_unfinished": Described("gauge", ("job",), "Runs that are queued or under way."),
    "myproperty_run_step_retries": Described("counter", ("job",), "Steps that were tried again."),
    "myproperty_run_duration_seconds": Described(
        "summary", ("job",), "From start to end of the runs that have ended."
    ),
    "myproperty_last_run_end_timestamp_seconds": Described(
        "gauge", ("job", "status"), "When the last run with this status ended."
    ),
    "myproperty_gate_verdicts": Described(
        "counter", ("gate", "table", "verdict"), "Verdicts of a gate: passed, warned or failed."
    ),
    "myproperty_gate_duration_seconds": Described(
        "summary", ("gate",), "Reading and checking a table at a gate."
    ),
    "myproperty_gate_last_passed": Described(
        "gauge", ("gate", "table"), "1 if the last verdict passed, 0 if it failed."
    ),
    "myproperty_gate_last_verdict_timestamp_seconds": Described(
        "gauge", ("gate",), "When the gate was last run."
    ),
    "myproperty_pending_dates": Described(
        "gauge", ("state",), "Reading dates that are not published as they are, as `myproperty pending` says."
    ),
    "myproperty_oldest_pending_timestamp_seconds": Described(
        "gauge", (), "Since when the first pending date waits; missing if none does."
    ),
    "myproperty_left_out_dates": Described(
        "gauge", ("tenant",), "Reading dates published without the tenant, whose rows a gate refused."
    ),
    "myproperty_newest_published_date_timestamp_seconds": Described(
        "gauge", ("tenant",), "Start, in UTC, of the tenant's newest published reading date."
    ),
    "myproperty_files": Described(
        "counter", ("tenant", "format", "status"), "Meter files that were loaded or refused."
    ),
    "myproperty_readings": Described(
        "counter",
        ("tenant", "result"),
        "Readings of loaded files: accepted, unchanged, revised, quarantined.",
    ),
    "myproperty_last_file_timestamp_seconds": Described(
        "gauge", ("tenant", "format"), "When an active tenant's last file of a format was loaded."
    ),
    "myproperty_open_issues": Described(
        "gauge", ("tenant", "rule", "severity"), "Open issues; a severe one holds a meter back."
    ),
    "myproperty_quarantined_readings": Described("gauge", ("tenant", "rule"), "Open rows in quarantine."),
    "myproperty_last_backup_timestamp_seconds": Described(
        "gauge",
        ("place",),
        "When the newest base backup of the embedded server ended: in the folder, and copied to the bucket. "
        "0 if there is none, missing if none is to be made.",
    ),
    "myproperty_last_copied_wal_timestamp_seconds": Described(
        "gauge", (), "When the newest WAL in the bucket was written; missing without a bucket."
    ),
    "myproperty_unsent_alerts": Described("gauge", ("channel",), "Messages that wait for a channel."),
}
_RUNS = """
select job, status, count(*), sum(retries)::bigint,
    coalesce(sum(extract(epoch from ended_at - started_at)), 0)::float8,
    extract(epoch from max(ended_at))::float8
from warehouse_staging.pipeline_runs group by 1, 2 order by 1, 2
"""
_VERDICTS = """
select gate, table_name, count(*) filter (where passed and failed = '[]'),
    count(*) filter (where passed and failed <> '[]'), count(*) filter (where not passed),
    coalesce(sum(seconds), 0)::float8, extract(epoch from max(checked_at))::float8,
    (array_agg(passed order by checked_at desc))[1]
from warehouse_staging.gate_results group by 1, 2 order by 1, 2
"""
# An estimate is loaded by a job of its own: it is no file of a sender.
_FILES = """
select j.tenant_id::text, coalesce(j.format, 'unknown'), j.status, count(*), sum(j.accepted)::bigint,
    sum(j.unchanged)::bigint, sum(j.new_versions)::bigint, sum(j.quarantined)::bigint,
    extract(epoch from max(j.started_at))::float8, t.status = 'active'
from myproperty.ingestion_jobs as j
inner join myproperty.tenants as t on t.id = j.tenant_id
where j.format is distinct from 'estimation'
group by 1, 2, 3, t.status order by 1, 2, 3
"""
_ISSUES = """
select tenant_id::text, rule, severity, count(*) from myproperty.reading_issues
where status = 'open' group by 1, 2, 3 order by 1, 2, 3
"""
_QUARANTINED = """
select tenant_id::text, rule, count(*) from warehouse_staging.quarantined_readings
where status = 'open' group by 1, 2 order by 1, 2
"""
_PUBLISHED = """
select d.tenant_id::text, extract(epoch from max(p.reading_date)::timestamp at time zone 'UTC')::float8
from myproperty.ingestion_job_dates as d
inner join warehouse_staging.published_dates as p on p.reading_date = d.reading_date
group by 1 order by 1
"""
_RESULTS = ("accepted", "unchanged", "revised", "quarantined")

Samples = Iterable[tuple[Sequence[str], float]]


def write_metrics(settings: Settings, path: Path) -> None:
    """Replace the file by the metrics of now; a reader sees the old or the new file, whole.

    Raises MetricsError.
    """
    from prometheus_client import write_to_textfile

    if path.suffix != ".prom":
        raise MetricsError(f"{path} has to end in .prom: node_exporter ignores other files")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), make_registry(settings))
    except OSError as error:
        raise MetricsError(
            f"the metrics cannot be written: {error}. Correct MYPROPERTY_METRICS_FILE"
        ) from error


def format_metrics(settings: Settings) -> str:
    """Return the metrics of now in Prometheus' text format."""
    from prometheus_client import generate_latest

    text: str = generate_latest(make_registry(settings)).decode()
    return text


def serve_metrics(settings: Settings, port: int) -> Any:
    """Serve the metrics on this machine until the returned server is shut down; each scrape reads them anew.

    Raises MetricsError if the port is taken.
    """
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr=ADDRESS, registry=make_registry(settings))
    except OSError as error:
        raise MetricsError(f"port {port} cannot be served: {error}. Choose another --serve") from error
    return server


def make_registry(settings: Settings) -> CollectorRegistry:
    """Return a registry that reads the metrics when it is asked."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(PlatformCollector(settings))
    return registry


class PlatformCollector:
    """Reads all metrics in one go."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; without the database only those that say so."""
        try:
            found = list(self._read())
        except (PlatformError, psycopg.Error):
            found = []
        yield _make("myproperty_database_up", [((), float(bool(found)))])
        yield from found
        yield from _read_backups(self._settings)
        unsent = open_outbox(self._settings).status()
        yield _make(
            "myproperty_unsent_alerts", [((name,), each["unsent"] or 0) for name, each in unsent.items()]
        )

    def _read(self) -> Iterator[Metric]:
        dsn = Platform(self._settings).oltp_dsn
        with transaction(dsn, ETL_ROLE) as session:
            yield from _read_runs(session)
            yield from _read_gates(session)
            yield from _read_files(session)
            yield _make("myproperty_open_issues", _to_samples(session.rows(_ISSUES)))
            yield _make("myproperty_quarantined_readings", _to_samples(session.rows(_QUARANTINED)))
            yield _make(
                "myproperty_newest_published_date_timestamp_seconds", _to_samples(session.rows(_PUBLISHED))
            )
        yield from _read_pending(dsn)


def _read_runs(session: Session) -> Iterator[Metric]:
    rows = session.rows(_RUNS)
    ended = [row for row in rows if row[1] != "unfinished"]
    jobs = sorted({row[0] for row in rows})
    yield _make("myproperty_runs", [((job, status), count) for job, status, count, *_ in ended])
    yield _make("myproperty_runs_unfinished", [((row[0],), row[2]) for row in rows if row[1] == "unfinished"])
    yield _make(
        "myproperty_run_step_retries",
        [((job,), sum(row[3] for row in ended if row[0] == job)) for job in jobs],
    )
    yield _make_summary(
        "myproperty_run_duration_seconds",
        [_sum_up((job,), [(row[2], row[4]) for row in ended if row[0] == job]) for job in jobs],
    )
    yield _make(
        "myproperty_last_run_end_timestamp_seconds",
        [((row[0], row[1]), row[5]) for row in ended if row[5] is not None],
    )


def _read_gates(session: Session) -> Iterator[Metric]:
    rows = session.rows(_VERDICTS)
    gates = sorted({row[0] for row in rows})
    yield _make(
        "myproperty_gate_verdicts",
        [
            ((gate, table, verdict), count)
            for gate, table, *counts in rows
            for verdict, count in zip(("passed", "warned", "failed"), counts[:3], strict=True)
        ],
    )
    yield _make_summary(
        "myproperty_gate_duration_seconds",
        [_sum_up((gate,), [(sum(row[2:5]), row[5]) for row in rows if row[0] == gate]) for gate in gates],
    )
    yield _make("myproperty_gate_last_passed", [((row[0], row[1]), float(row[7])) for row in rows])
    yield _make(
        "myproperty_gate_last_verdict_timestamp_seconds",
        [((gate,), max(row[6] for row in rows if row[0] == gate)) for gate in gates],
    )


def _read_files(session: Session) -> Iterator[Metric]:
    rows = session.rows(_FILES)
    yield _make("myproperty_files", [(row[:3], row[3]) for row in rows])
    yield _make(
        "myproperty_readings",
        [
            ((tenant, result), sum(row[4 + place] for row in rows if row[0] == tenant))
            for tenant in sorted({row[0] for row in rows})
            for place, result in enumerate(_RESULTS)
        ],
    )
    yield _make(
        "myproperty_last_file_timestamp_seconds",
        [((row[0], row[1]), row[8]) for row in rows if row[2] == "loaded" and row[9]],
    )


def _read_pending(dsn: str) -> Iterator[Metric]:
    # Only read: rows that people changed are compared with their copies by the sensor of pending dates.
    found = find_pending(dsn, withdraw=False)
    groups = found.dates
    yield _make(
        "myproperty_pending_dates",
        [
            ((state,), sum(len(group.dates) for group in groups if group.state == state))
            for state in get_args(State)
        ],
    )
    since = [group.since.timestamp() for group in groups]
    yield _make("myproperty_oldest_pending_timestamp_seconds", [((), min(since))] if since else [])
    left_out = Counter[str]()
    for each in found.tenants:
        left_out[each.tenant_id] += (each.last - each.first).days + 1
    yield _make("myproperty_left_out_dates", [((tenant,), days) for tenant, days in left_out.items()])


def _read_backups(settings: Settings) -> Iterator[Metric]:
    try:
        found = read_backup_times(settings)
    except PlatformError:
        found = None
    times: list[tuple[str, datetime | None]] = []
    copied_wal: list[tuple[tuple[str, ...], float]] = []
    if found:
        times.append(("folder", found.backup_at))
        if found.has_copies:
            copied = found.copied
            times.append(("bucket", copied.backup_at if copied else None))
            copied_wal.append(((), copied.wal_at.timestamp() if copied and copied.wal_at else 0))
    yield _make(
        "myproperty_last_backup_timestamp_seconds",
        [((place,), at.timestamp() if at else 0) for place, at in times],
    )
    yield _make("myproperty_last_copied_wal_timestamp_seconds", copied_wal)


def _sum_up(
    labels: tuple[str, ...], pairs: Sequence[tuple[int, float]]
) -> tuple[tuple[str, ...], int, float]:
    """Return the labels with the sums of counts and seconds."""
    return labels, sum(count for count, _ in pairs), sum(seconds for _, seconds in pairs)


def _to_samples(rows: Iterable[tuple[Any, ...]]) -> Samples:
    return [(row[:-1], row[-1]) for row in rows]


def _make(name: str, samples: Samples) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    described = METRICS[name]
    family = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    made = family(name, described.meaning, labels=described.labels)
    for labels, value in samples:
        made.add_metric(list(labels), value)
    return made


def _make_summary(name: str, samples: Iterable[tuple[Sequence[str], int, float]]) -> Metric:
    from prometheus_client.core import SummaryMetricFamily

    made = SummaryMetricFamily(name, METRICS[name].meaning, labels=METRICS[name].labels)
    for labels, count, seconds in samples:
        made.add_metric(list(labels), count, seconds)
    return made
