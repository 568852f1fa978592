"""Compute the marts of quality again, with pandas and plain loops from the operational tables.

Not from the records of quality, and without SQL but reads of whole tables.
"""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
DAY = timedelta(days=1)
SILENT = 3  # the var silent_days
LATE = timedelta(hours=72)
LIKE_DAYS, LIKE_WEEKS = 3, 8
UNUSUAL_READINGS, UNUSUAL_ENERGY = 20, 50
LIKE_RUNS, MOST_LIKE_RUNS = 3, 20
SLOW_PCT, SLOW_SECONDS = 50, 30


def read(dsn: str, table: str, columns: str) -> pd.DataFrame:
    """Read columns of a table of the operational database; ids as text, as in the warehouse."""
    names = [column.split("::")[0].strip() for column in columns.split(",")]
    with psycopg.connect(dsn, row_factory=dict_row, options="-c timezone=UTC") as connection:
        found = connection.execute(f"select {columns} from {table}".encode()).fetchall()
    return pd.DataFrame(found, columns=names, dtype=object)


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def quality_days(dsn: str, now: datetime) -> list[Row]:
    """Compute mart_data_quality at an instant."""
    tenants = records(read(dsn, "myproperty.tenants", "id::text, name, status"))
    facts = _Facts(dsn, now)
    return [row for tenant in tenants for row in _days_of_tenant(facts, tenant)]


class _Facts:
    """The tables that the figures rest on."""

    def __init__(self, dsn: str, now: datetime) -> None:
        self.now = now
        self.jobs = read(
            dsn, "myproperty.ingestion_jobs", "id::text, tenant_id::text, format, status, started_at"
        )
        dates = read(
            dsn,
            "myproperty.ingestion_job_dates",
            "tenant_id::text, ingestion_job_id::text, reading_date, touched_at",
        )
        merged = dates.merge(self.jobs, left_on="ingestion_job_id", right_on="id", suffixes=("", "_of_job"))
        self.sent = merged[merged["status"] == "loaded"]
        self.properties = read(dsn, "myproperty.properties", "tenant_id::text, timezone")
        self.readings = read(
            dsn, "myproperty.meter_readings", "tenant_id::text, reading_date, is_estimated, value_kwh"
        )
        self.issues = read(
            dsn, "myproperty.reading_issues", "tenant_id::text, reading_date, severity, status"
        )
        self.quarantined = read(
            dsn,
            "warehouse_staging.quarantined_readings",
            "tenant_id::text, ingestion_job_id::text, status, identifier, reading_ts",
        )
        self.refused = read(dsn, "warehouse_staging.invalid_files", "tenant_id::text, received_at")
        meters = read(dsn, "myproperty.meters", "id::text, timezone")
        registers = read(
            dsn, "myproperty.meter_registers", "tenant_id::text, identifier, meter_id::text"
        ).merge(meters, left_on="meter_id", right_on="id")
        self.zones: dict[tuple[str, str], str] = {
            (row["tenant_id"], row["identifier"]): row["timezone"] for row in records(registers)
        }
        published = read(dsn, "warehouse_staging.published_dates", "reading_date, published_at")
        self.published = dict(zip(published["reading_date"], published["published_at"], strict=True))
        left_out = read(dsn, "warehouse_staging.left_out_tenants", "tenant_id::text, reading_date")
        self.left_out = {(row["tenant_id"], row["reading_date"]) for row in records(left_out)}
        runs = read(dsn, "warehouse_staging.pipeline_runs", "job, reading_date_to")
        ends = [end - DAY for end in runs[runs["job"] == "pipeline"]["reading_date_to"].dropna()]
        self.newest = max([*self.sent["reading_date"], *ends])

    def span(self, tenant: Row) -> list[date]:
        """Return the dates of a tenant."""
        own = list(self._of("sent", tenant)["reading_date"])
        zones = list(self._of("properties", tenant)["timezone"]) or ["UTC"]
        ended = min(self.now.astimezone(ZoneInfo(zone)).date() for zone in zones) - DAY
        last = min(ended, self.newest) if tenant["status"] == "active" else max(own)
        if not own and not len(self._of("refused", tenant)):
            return []
        first = min(own) if own else last
        return [first + DAY * number for number in range((last - first).days + 1)]

    def _of(self, name: str, tenant: Row) -> pd.DataFrame:
        frame: pd.DataFrame = getattr(self, name)
        found: pd.DataFrame = frame[frame["tenant_id"] == tenant["id"]]
        return found

    def publication(self, tenant: Row, day: date) -> str | None:
        """Return whether the marts show the tenant's files for a date that is not archived."""
        sent = self._of("sent", tenant)
        touched = list(sent[sent["reading_date"] == day]["touched_at"])
        if not touched:
            return None
        if (tenant["id"], day) in self.left_out:
            return "left out"
        published = self.published.get(day)
        return "published" if published and max(touched) <= published else "pending"

    def placed_quarantine(self, tenant: Row, span: list[date]) -> list[tuple[date, str]]:
        """Return (date, status) of each quarantined row."""
        loaded = dict(zip(self.jobs["id"], self.jobs["started_at"], strict=True))
        found: list[tuple[date, str]] = []
        for row in records(self._of("quarantined", tenant)):
            zone = ZoneInfo(self.zones.get((tenant["id"], row["identifier"]), "UTC"))
            at = row["reading_ts"]
            own: date | None = at.astimezone(zone).date() if at is not None else None
            if own is None or not span[0] <= own <= span[-1]:
                own = _clip(loaded[row["ingestion_job_id"]], span)
            found.append((own, row["status"]))
        return found


def _clip(at: datetime, span: list[date]) -> date:
    return min(max(at.astimezone(UTC).date(), span[0]), span[-1])


def _days_of_tenant(facts: _Facts, tenant: Row) -> list[Row]:
    span = facts.span(tenant)
    if not span:
        return []
    sent = facts._of("sent", tenant)
    sent = sent[sent["format"] != "estimation"]
    by_format = {name: set(group["reading_date"]) for name, group in sent.groupby("format")}
    readings = dict(list(facts._of("readings", tenant).groupby("reading_date")))
    issues = facts._of("issues", tenant)
    quarantined = facts.placed_quarantine(tenant, span)
    refused = [_clip(at, span) for at in facts._of("refused", tenant)["received_at"]]
    counts = {day: len(readings.get(day, ())) for day in span}
    energy = {
        day: sum(readings[day]["value_kwh"].dropna(), Decimal(0)) if day in readings else Decimal(0)
        for day in span
    }
    first_load = min(sent["started_at"]) if len(sent) else None
    rows, last_file = [], None
    for day in span:
        files = sent[sent["reading_date"] == day]
        if len(files):
            last_file = day
        of_day = issues[issues["reading_date"] == day]
        open_issues = of_day[of_day["status"] == "open"]["severity"]
        silent = [
            name
            for name, dates in by_format.items()
            if day not in dates and sum(day - DAY * back in dates for back in range(1, 8)) >= 3
        ]
        estimated = int(readings[day]["is_estimated"].sum()) if day in readings else 0
        since = (day - last_file).days if last_file else None
        rows.append(
            {
                "tenant_id": tenant["id"],
                "tenant_name": tenant["name"],
                "reading_date": day,
                "day_of_week": day.isoweekday(),
                "readings": counts[day],
                "estimated_readings": estimated,
                "estimated_share_pct": _percent(estimated, counts[day]),
                "energy_kwh": energy[day],
                **_compare(day, counts, energy),
                "open_infos": int((open_issues == "info").sum()),
                "open_issues": int((open_issues == "issue").sum()),
                "open_severe_issues": int((open_issues == "severe").sum()),
                "accepted_issues": int((of_day["status"] == "accepted").sum()),
                "quarantined_readings": sum(on == day for on, _ in quarantined),
                "open_quarantined_readings": sum(
                    on == day and status == "open" for on, status in quarantined
                ),
                "files": len(files),
                "refused_files": sum(on == day for on in refused),
                **_punctuality(day, list(files["started_at"]), first_load),
                "silent_formats": len(silent),
                "days_since_last_file": since,
                "publication": facts.publication(tenant, day),
                "is_silent": bool(silent) or (since is not None and since >= SILENT),
            }
        )
    return rows


def _compare(day: date, counts: dict[date, int], energy: dict[date, Decimal]) -> Row:
    like = [day - DAY * 7 * week for week in range(1, LIKE_WEEKS + 1)]
    like = [other for other in like if counts.get(other)]
    enough = len(like) >= LIKE_DAYS
    usual = _median(counts[other] for other in like) if enough else None
    usual_kwh = _median(energy[other] for other in like) if enough else None
    readings_pct = _percent(counts[day] - usual, usual) if usual is not None else None
    energy_pct = _percent(energy[day] - usual_kwh, usual_kwh) if usual_kwh is not None else None
    return {
        "like_days": len(like),
        "expected_readings": usual,
        "readings_deviation_pct": readings_pct,
        "expected_kwh": usual_kwh,
        "energy_deviation_pct": energy_pct,
        "is_unusual": (readings_pct is not None and abs(readings_pct) > UNUSUAL_READINGS)
        or (energy_pct is not None and abs(energy_pct) > UNUSUAL_ENERGY),
    }


def _punctuality(day: date, loads: list[datetime], first_load: datetime | None) -> Row:
    ended = datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
    first = min(loads) if loads else None
    took = first - ended if first else None
    return {
        "first_loaded_at": first,
        "hours_to_first_file": None if took is None else _round(_seconds(took) / 3600, 2),
        "is_late": took is not None and took > LATE and first_load is not None and ended >= first_load,
    }


def _median(values: Iterable[Any]) -> Any:
    ordered = sorted(values)
    return ordered[ceil(len(ordered) / 2) - 1]


def _percent(part: Any, whole: Any) -> Decimal | None:
    return _round(_round(100 * Decimal(part) / Decimal(whole), 9), 4) if whole else None


def _seconds(span: timedelta) -> Decimal:
    return _round(Decimal(span // timedelta(microseconds=1)) / 1_000_000, 3)


def _round(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def quality_runs(dsn: str) -> list[Row]:
    """Compute mart_pipeline_runs."""
    columns = "run_id, job, launched_by, reading_date_from, reading_date_to, status, requested_at, "
    columns += "started_at, ended_at, retries, seconds, reasons"
    runs = records(read(dsn, "warehouse_staging.pipeline_runs", columns))
    of_verdicts = "run_id, passed, failed, row_count, seconds"
    verdicts = records(read(dsn, "warehouse_staging.gate_results", of_verdicts))
    described = [
        _describe_run(run, [verdict for verdict in verdicts if verdict["run_id"] == run["run_id"]])
        for run in runs
        if run["status"] != "unfinished"
    ]
    return [run | compare_run(run, described) for run in described]


def compare_run(run: Row, runs: list[Row]) -> Row:
    """Compare the seconds of a run with those of the runs like it before."""
    before = [
        other
        for other in runs
        if other["status"] == run["status"] == "succeeded"
        and (other["job"], other["reading_dates"]) == (run["job"], run["reading_dates"])
        and (other["ended_at"], other["run_id"]) < (run["ended_at"], run["run_id"])
    ]
    last = sorted(before, key=lambda other: (other["ended_at"], other["run_id"]))[-MOST_LIKE_RUNS:]
    seconds = sorted(other["run_seconds"] for other in last)
    row: Row = {"like_runs": len(last), "usual_seconds": None, "run_seconds_deviation_pct": None}
    if len(seconds) < LIKE_RUNS:
        return row | {"is_slow": False}
    usual = seconds[ceil(len(seconds) / 2) - 1]
    longer = run["run_seconds"] - usual
    deviation = _round(100 * longer / usual, 4) if usual else None
    return row | {
        "usual_seconds": usual,
        "run_seconds_deviation_pct": deviation,
        "is_slow": deviation is not None and deviation > SLOW_PCT and longer > SLOW_SECONDS,
    }


def _write_seconds(seconds: dict[str, float]) -> str | None:
    """Write the seconds of steps as PostgreSQL writes an object: its shortest keys first."""
    by_length = sorted(seconds.items(), key=lambda step: (len(step[0]), step[0]))
    return json.dumps(dict(by_length)) if seconds else None


def _describe_run(run: Row, verdicts: list[Row]) -> Row:
    by = str(run["launched_by"]).split(" ", maxsplit=1)[0]
    slowest = sorted(run["seconds"].items(), key=lambda step: (-step[1], step[0]))
    first, end = run["reading_date_from"], run["reading_date_to"]
    rules = sorted({reason["rule"] for reason in run["reasons"]})
    return {
        "run_id": run["run_id"],
        "job": run["job"],
        "launcher": by if by in ("schedule", "sensor") else "person",
        "reading_date_from": first,
        "reading_date_to": end,
        "reading_dates": (end - first).days if first else None,
        "status": run["status"],
        "requested_at": run["requested_at"],
        "started_at": run["started_at"],
        "ended_at": run["ended_at"],
        "queued_seconds": _seconds(run["started_at"] - run["requested_at"]),
        "run_seconds": _seconds(run["ended_at"] - run["started_at"]),
        "retries": run["retries"],
        "steps": len(run["seconds"]),
        "slowest_step": slowest[0][0] if slowest else None,
        "slowest_step_seconds": Decimal(str(slowest[0][1])) if slowest else None,
        "step_seconds": _write_seconds(run["seconds"]),
        "gates_passed": sum(verdict["passed"] for verdict in verdicts),
        "gates_warned": sum(verdict["passed"] and bool(verdict["failed"]) for verdict in verdicts),
        "gates_failed": sum(not verdict["passed"] for verdict in verdicts),
        "broken_rules": ",".join(rules) or None,
        "judged_rows": sum(verdict["row_count"] for verdict in verdicts),
        "gate_seconds": _round(Decimal(sum(verdict["seconds"] for verdict in verdicts)), 9),
    }
