"""The page of the metrics for Prometheus, generated from `dagster_project.prometheus`."""

from collections.abc import Iterable

from dagster_project.environments import AUTOMATIONS
from dagster_project.prometheus import METRICS, Described
from oltp_schema.pages import markdown_table

_SUFFIXES = {"gauge": ("",), "counter": ("_total",), "summary": ("_count", "_sum")}
_ALERTS = (
    (
        "the metrics are old: the daemon is down",
        'time() - node_textfile_mtime_seconds{file=~".*myproperty.prom"} > 900',
    ),
    ("the database does not answer", "myproperty_database_up == 0"),
    ("a date has waited for 26 hours", "time() - myproperty_oldest_pending_timestamp_seconds > 26 * 3600"),
    ("a run failed or was killed", 'increase(myproperty_runs_total{status="failed"}[15m]) > 0'),
    ("a gate stops the pipeline", "myproperty_gate_last_passed == 0"),
    ("a sender is silent for 36 hours", "time() - myproperty_last_file_timestamp_seconds > 36 * 3600"),
    ("a meter is held back", 'myproperty_open_issues{severity="severe"} > 0'),
    ("the newest backup or its copy is old", "time() - myproperty_last_backup_timestamp_seconds > 26 * 3600"),
    ("WAL is not copied", "time() - myproperty_last_copied_wal_timestamp_seconds > 3600"),
    ("alerts are not sent", "myproperty_unsent_alerts > 20"),
)


def prometheus_page() -> str:
    """Return the page: how the metrics reach Prometheus, each metric, and expressions for alerts."""
    parts = [
        "# Metrics for Prometheus\n",
        "Workers live for one run, so their metrics are computed from what runs record in the OLTP database. "
        f"In staging and production the sensor `metrics_file` writes them every "
        f"{AUTOMATIONS['metrics_file'].seconds} s to `MYPROPERTY_METRICS_FILE`, for node_exporter's textfile "
        "collector (`--collector.textfile.directory`). The file is replaced whole.\n",
        "```\n"
        "myproperty prometheus                           # print them\n"
        "myproperty prometheus --file /path/myproperty.prom\n"
        "myproperty prometheus --serve 9464              # http://127.0.0.1:9464/metrics, until Ctrl-C\n"
        "```\n",
        "The server listens on 127.0.0.1 only and reads the database for each scrape. Counters count the "
        "rows that are kept: one that becomes smaller was reset, as after a restore. `tenant` is the id of a "
        "tenant. A label is never a name, a meter or the text of an error. In the demo the gates have 350 "
        "series, and a tenant with two formats has 25.\n",
        markdown_table(
            ("Metric", "Kind", "Labels", "Means"),
            [
                (_list_samples(name, each), each.kind, _quote(each.labels), each.meaning)
                for name, each in METRICS.items()
            ],
        ),
        "## Alerts\n",
        "Expressions to start from. Messages to people come from the platform itself too: see "
        "[on call](on-call.md#an-alert-arrived).\n",
        markdown_table(
            ("Says that", "Expression"), [(what, f"`{expression}`") for what, expression in _ALERTS]
        ),
    ]
    return "\n".join(parts)


def _list_samples(name: str, metric: Described) -> str:
    return _quote(f"{name}{suffix}" for suffix in _SUFFIXES[metric.kind])


def _quote(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
