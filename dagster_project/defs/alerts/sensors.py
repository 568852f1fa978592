"""The sensors that tell people: they only write to the outbox, and `unsent_alerts` sends.

They run in the daemon, never in a run: a channel that fails cannot delay or fail a run. Without a channel in
the settings they do nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg
import psycopg

from dagster_project.alerts import channels, facts, messages
from dagster_project.broken_rules import read_broken_rules
from dagster_project.ended_runs import ended_runs_sensor
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import left_out_of_tags
from dagster_project.resources.platform import Platform
from myproperty.errors import PlatformError

SETTLED = timedelta(minutes=1)
NO_CHANNEL = "no channel is set: MYPROPERTY_ALERT_SLACK_URL, _EMAIL_URL or _WEBHOOK_URL"


def _channel_names(platform: Platform) -> list[str]:
    return list(channels.channel_addresses(platform.settings))


def tell_failure(instance: dg.DagsterInstance, platform: Platform, run: dg.DagsterRun) -> str:
    """Write one message for a failed run; without the database the message names checks, not rules."""
    names = _channel_names(platform)
    if not names:
        return NO_CHANNEL
    try:
        rules = read_broken_rules(platform.oltp_dsn, instance, run)
    except (PlatformError, psycopg.Error):
        rules = read_broken_rules(None, instance, run)
    alert = messages.compose_failure(run.job_name, run.run_id, facts.dates_of_run(run), rules)
    channels.open_outbox(platform.settings).add(alert, names, facts.utc_now())
    return "the failure is in the outbox"


def tell_recovery(_: dg.DagsterInstance, platform: Platform, run: dg.DagsterRun) -> str:
    """Take the dates of a successful run off the failures that were told."""
    names = _channel_names(platform)
    if not names:
        return NO_CHANNEL
    if left_out_of_tags(run.tags):
        return "the run left out the tenants for whom the run before failed"
    ended = channels.open_outbox(platform.settings).recover_dates(
        run.job_name, facts.dates_of_run(run), f"recovery/{run.run_id}", names, facts.utc_now()
    )
    return f"{ended} failures have ended"


def _database_sensor(
    name: str, description: str, tick: Callable[[dg.SensorEvaluationContext, Platform], str]
) -> dg.SensorDefinition:
    """Define a sensor that starts no run and needs a channel and the database."""

    @dg.sensor(name=name, minimum_interval_seconds=AUTOMATIONS[name].seconds, description=description)
    def evaluate(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
        return dg.SkipReason(tick(context, platform) if _channel_names(platform) else NO_CHANNEL)

    return evaluate


def tell_silent_senders(_: dg.SensorEvaluationContext, platform: Platform) -> str:
    """Write a message for each sender that is silent, and one for each that has sent again."""
    settings, now = platform.settings, facts.utc_now()
    silent = facts.read_silent_senders(platform.oltp_dsn, settings.alert_silent_hours, now)
    alerts = [messages.compose_silence(sender, settings.alert_silent_hours, now) for sender in silent]
    _tell_states("silence/", alerts, platform, now)
    return f"{len(silent)} senders are silent"


def tell_refused_files(context: dg.SensorEvaluationContext, platform: Platform) -> str:
    """Write a message for each tenant whose files were refused since the last look."""
    outbox, names, now = channels.open_outbox(platform.settings), _channel_names(platform), facts.utc_now()
    # A load that still runs may commit an earlier instant.
    until = now - SETTLED
    after = datetime.fromisoformat(context.cursor) if context.cursor else now - timedelta(days=1)
    refused = facts.read_refused_files(platform.oltp_dsn, after, until)
    for files in refused:
        outbox.add(messages.compose_refusals(files), names, now)
    context.update_cursor(until.isoformat())
    return f"files of {len(refused)} tenants were refused"


def tell_old_backups(_: dg.SensorEvaluationContext, platform: Platform) -> str:
    """Write a message for each place without a new base backup, and one when it has one again."""
    settings, now = platform.settings, facts.utc_now()
    old = facts.read_old_backups(settings, now)
    alerts = [messages.compose_old_backup(each, settings.alert_backup_hours, now) for each in old]
    _tell_states("backup/", alerts, platform, now)
    return f"{len(old)} places have no new backup"


def _tell_states(kind: str, alerts: list[messages.Alert], platform: Platform, now: datetime) -> None:
    """Tell what is so, once until it has ended: the digest repeats it. `kind` begins the causes."""
    outbox, names = channels.open_outbox(platform.settings), _channel_names(platform)
    open_causes = {cause["cause"] for cause in outbox.open_causes() if cause["cause"].startswith(kind)}
    for alert in alerts:
        if alert.cause not in open_causes:
            outbox.add(alert, names, now)
    for cause in open_causes - {alert.cause for alert in alerts}:
        outbox.recover(cause, f"recovery/{cause}/{now.isoformat()}", names, now)


def tell_digest(context: dg.SensorEvaluationContext, platform: Platform) -> str:
    """Write the digest of the day, once, from the hour of the settings on."""
    settings, now = platform.settings, facts.utc_now()
    if not is_digest_due(context.cursor, now, settings.alert_digest_hour):
        return "the digest of the day is written, or its hour has not come"
    outbox = channels.open_outbox(settings)
    read = facts.read_digest(platform.oltp_dsn, context.instance, outbox, settings.alert_silent_hours, now)
    outbox.add(messages.compose_digest(now.date(), read), _channel_names(platform), now)
    context.update_cursor(now.date().isoformat())
    return "the digest is written"


def is_digest_due(cursor: str | None, now: datetime, hour: int) -> bool:
    """Return whether the digest of the day is to be written; `cursor` is the day of the last one."""
    return now.hour >= hour and cursor != now.date().isoformat()


def send_unsent(_: dg.SensorEvaluationContext, platform: Platform) -> str:
    """Send what waits in the outbox."""
    counts = channels.send_waiting(platform.settings)
    return f"{counts['sent']} sent, {counts['failed']} failed: see `myproperty alerts status`"


sensors = [
    ended_runs_sensor(
        "failed_runs",
        dg.DagsterRunStatus.FAILURE,
        "Tells people about a failed run of any job: one message, with every broken rule.",
        tell_failure,
    ),
    ended_runs_sensor(
        "recovered_runs",
        dg.DagsterRunStatus.SUCCESS,
        "Tells people once that a failure has ended: a run of the job succeeded on all its dates.",
        tell_recovery,
    ),
    _database_sensor(
        "silent_senders",
        "Tells people about tenants and formats without new files.",
        tell_silent_senders,
    ),
    _database_sensor("refused_files", "Tells people about files that were refused.", tell_refused_files),
    _database_sensor(
        "old_backups", "Tells people that the newest backup or its copy is too old.", tell_old_backups
    ),
    _database_sensor("daily_digest", "Tells people once a day what is open.", tell_digest),
    _database_sensor(
        "unsent_alerts", "Sends the messages that wait, and tries failed ones again.", send_unsent
    ),
]
